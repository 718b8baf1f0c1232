//! EKS Pod Identity: which role in AWS the pods of a server have.
//!
//! In: what a server shall have, and what AWS shows. Out: the one next action ([`plan`], pure), done ([`pursue`]). Nothing
//! but what implements [`Associations`] knows AWS. Ownership is a matter of tags ([`owner`]), never of a stored id.

pub mod associations;
pub mod cached;
pub mod eks;
pub mod errors;
#[cfg(test)]
mod examples;
#[cfg(test)]
pub mod fake;
pub mod owner;
pub mod plan;
pub mod proof;
pub mod pursue;
pub mod sweep;
pub mod tend;
pub mod token;

pub use associations::{Association, Associations, Change, Grant, Key, New, Page, Summary, Tags};
pub use errors::{Call, Class, Failure};
pub use owner::Owner;

#[cfg(test)]
mod life_tests;
