"""One environment of terraform/, made and destroyed by `cargo xtask aws`, and looked at by Terraform itself.

In: the environment's name, and which address each service has. Out: what was printed, plans and states as JSON.
"""

import json
import os
import subprocess
import sys
import time

from emulators import REGION, ROOT

# What says nothing: to Terraform an attribute that is not set and one that is empty are the same.
EMPTY = (None, "", [], {})


class Environment:
    def __init__(self, name, xtask, addresses, work):
        """`addresses` has the address of a service, and under "" the one of all others."""
        self.directory, self.xtask, self.work = f"terraform/environments/{name}", xtask, work
        emulators = [f"--emulator={service}={url}" if service else f"--emulator={url}" for service, url in addresses.items()]
        self.options = [f"--environment={name}", f"--state-dir={work}", *emulators]
        self.environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": ROOT[0],
            "AWS_SECRET_ACCESS_KEY": ROOT[1],
            "AWS_REGION": REGION,
            "TF_DATA_DIR": str(work / "data"),
        }
        self.took = []

    def run(self, *command, **more):
        environment = {**self.environment, **more}
        return subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def aws(self, verb, *words):
        """`cargo xtask aws VERB`, which has to succeed."""
        start = time.time()
        done = self.run(self.xtask, "aws", verb, *self.options, *words)
        self.took.append((f"aws {verb}", time.time() - start))
        return said(done, f"aws {verb}")

    def refused(self, verb, *words, **more):
        """What `cargo xtask aws VERB` says when it must not do anything."""
        done = self.run(self.xtask, "aws", verb, *self.options, *words, **more)
        if done.returncode == 0:
            sys.exit(f"`aws {verb} {' '.join(words)}` was not refused:\n{done.stdout}")
        return done.stdout

    def terraform(self, verb, *words, quiet=False):
        start = time.time()
        done = self.run("terraform", f"-chdir={self.directory}", verb, *words)
        if not quiet:
            self.took.append((verb, time.time() - start))
        return said(done, verb)

    def show(self, file):
        return json.loads(self.terraform("show", "-json", "-no-color", str(self.work / file), quiet=True))

    def with_state(self, verb, *words):
        settings = [f"-state={self.work / 'state'}", f"-var-file={self.work / 'emulator.tfvars.json'}"]
        return self.terraform(verb, "-no-color", *settings, *words)

    def changes(self, *words):
        """What a plan would change: (address, actions, attributes that differ)."""
        self.with_state("plan", f"-out={self.work / 'next'}", *words)
        found = []
        for it in self.show("next").get("resource_changes", []):
            actions = it["change"]["actions"]
            if actions in (["no-op"], ["read"]):
                continue
            before, after = it["change"]["before"] or {}, it["change"]["after"] or {}
            unknown = it["change"].get("after_unknown") or {}
            names = {name for name in {*before, *after} if not same(before.get(name), after.get(name))}
            found.append((it["address"], "/".join(actions), sorted(name for name in names if unknown.get(name) is not True)))
        return sorted(found)

    def left(self):
        return self.terraform("state", "list", f"-state={self.work / 'state'}", quiet=True).split()


def same(before, after):
    return before == after or (before in EMPTY and after in EMPTY)


def said(done, what):
    if done.returncode != 0:
        print(done.stdout[-8000:])
        sys.exit(f"`{what}` ended with {done.returncode}")
    return done.stdout
