//! Local clusters and the suites that run against them.
//!
//! In: a name, a tier and a provider. Out: a running Kubernetes API, a way to load an image archive into it, and
//! its audit log. Nothing here is part of the product: the operator and the servers never depend on this crate.
//! It keeps everything it makes below `${XDG_CACHE_HOME:-$HOME/.cache}/mcp-eks`.

pub mod audit;
pub mod bench;
pub mod cache;
pub mod certificate;
pub mod cli;
pub mod cluster;
pub mod doubles;
pub mod fake_kubelet;
pub mod image;
pub mod install;
pub mod keda;
pub mod ministack;
pub mod node;
pub mod packages;
pub mod postgres;
pub mod progress;
pub mod python;
pub mod suite;
pub mod tools;
pub mod valkey;
