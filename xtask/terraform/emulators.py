"""AWS without an account: MiniStack, and moto for what MiniStack answers too little of. Each from `with` to the end of it.

In: where their programs lie. Out: addresses on 127.0.0.1, and clients of botocore. Nothing is kept, no container started.
"""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from front import Front

ACCOUNT = "123456789012"
REGION = "us-west-2"

# MiniStack takes the requests of this key for those of the account's root, whatever it enforces of others.
ROOT = ("test", "test")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Emulator:
    """A program that answers as AWS does."""

    def __init__(self, name, command, environment, health, port, front=None):
        self.name, self.command, self.environment, self.front = name, command, environment, front
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self.health = self.url + health

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(prefix=f"mcp-eks-{self.name}-")
        self.log = open(pathlib.Path(self.home.name) / "log", "w+")
        environment = {
            # Containers (of Lambda, RDS, ECS) would be real ones; here nothing may reach a daemon.
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "DOCKER_HOST": "unix:///nonexistent",
            **self.environment,
        }
        self.process = subprocess.Popen(self.command, env=environment, cwd=self.home.name, stdout=self.log, stderr=self.log)
        for _ in range(180):
            try:
                urllib.request.urlopen(self.health, timeout=5).read()
                if self.front:
                    self.url = f"http://127.0.0.1:{self.front(self.port).port}"
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.5)
        self.log.seek(0)
        sys.exit(f"{self.name} did not start at {self.url}:\n{self.log.read()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        self.home.cleanup()

    def client(self, service, key=ROOT, token=None):
        import botocore.config
        import botocore.session

        session = botocore.session.Session()
        session.set_credentials(*key, token)
        settings = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 2}, s3={"addressing_style": "path"})
        return session.create_client(service, region_name=REGION, endpoint_url=self.url, config=settings)


def ministack():
    """MiniStack; what policies do not allow is refused (`AUTH=true`), but to root."""
    port = free_port()
    environment = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "AUTH": "true",
    }
    program = pathlib.Path(sys.executable).with_name("ministack")
    return Emulator("ministack", [program], environment, "/_ministack/health", port, Front)


def moto(program):
    port = free_port()
    command = [program, "-H", "127.0.0.1", "-p", str(port)]
    # With the policies that AWS keeps, which roles.py reads.
    environment = {"MOTO_ACCOUNT_ID": ACCOUNT, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
    return Emulator("moto", command, environment, "/moto-api/data.json", port)
