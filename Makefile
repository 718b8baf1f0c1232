# Every target is one `cargo xtask` away; `cargo xtask --help` has the options.
export CARGO_BUILD_BUILD_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mcp-eks/build/{workspace-path-hash}

.DEFAULT_GOAL := help
.PHONY: help up down test check fmt lint e2e laws coverage bench bench-servers conformance images terraform terraform-apply aws-plan aws-up aws-down

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## From a fresh clone to a local cluster with four Ready McpServers; a second run does nothing
	@cargo xtask up

down: ## End what `make up` started; nothing stays behind
	@cargo xtask down

test: ## Everything that CI runs
	@cargo xtask test

check: ## The fast checks: format, clippy, unit and doc tests
	@cargo xtask check

fmt: ## Format every Rust file
	@cargo xtask fmt

lint: ## Dockerfiles, workflows, YAML, shell, licences and sources of dependencies
	@cargo xtask lint

e2e: ## The suites that run against a cluster
	@cargo xtask e2e

laws: ## The laws of the core, ten thousand cases each (`make test` runs a sample)
	@cargo xtask laws

bench: ## A thousand McpServers against a bare writer of the same objects; prints a report
	@cargo xtask bench operator

coverage: ## Which lines of the kit and of the servers the tests run, by crate (needs LLVM's tools, which it installs)
	@cargo xtask coverage

conformance: ## The official MCP conformance suite against the bundled servers
	@cargo xtask conformance

bench-servers: ## The bundled servers' speed beside axum and the official SDKs (on a quiet machine)
	@cargo xtask bench-servers

images: ## Build both Dockerfiles with Docker or Podman, and try what is in the images
	@cargo xtask images --verify

terraform: ## The AWS base: format, tests of every module and environment, READMEs, checkov
	@cargo xtask terraform

terraform-apply: ## The AWS base applied to an emulator, changed and destroyed; its policies judged by parliament
	@cargo xtask terraform --apply

ENVIRONMENT ?= dev
AWS = --environment $(ENVIRONMENT) $(addprefix --backend-config=,$(BACKEND))

aws-plan: ## What `make aws-up` would change in your AWS account, and what is missing for it
	@cargo xtask aws plan $(AWS)

aws-up: ## The AWS base of ENVIRONMENT (dev) in your account: costs money, see docs/terraform.md
	@cargo xtask aws up $(AWS)

aws-down: ## Destroy it: CONFIRM=NAME
	@cargo xtask aws down $(AWS) $(if $(CONFIRM),--confirm $(CONFIRM))
