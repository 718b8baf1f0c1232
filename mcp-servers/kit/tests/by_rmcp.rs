//! The kit's other tests again, with every request on rmcp's way: what they ask for holds with and without the direct one.
//! `support` starts servers of this test crate with the direct way turned off.

#![allow(clippy::duplicate_mod, reason = "each of these files is a test crate of its own elsewhere")]

#[path = "access.rs"]
mod access;
#[path = "consent.rs"]
mod consent;
#[path = "demo.rs"]
mod demo;
#[path = "offer.rs"]
mod offer;
#[path = "sessions.rs"]
mod sessions;
