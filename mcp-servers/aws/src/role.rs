//! The role of another account, as credentials.
//!
//! In: the role's ARN, the configuration it is assumed under. Out: credentials, which the SDK keeps until shortly before their
//! end. The SDK has such a provider of its own, but what that asks of STS nobody would see: here it belongs to the call that
//! needed it.

use std::time::SystemTime;

use aws_config::{Region, SdkConfig, identity::IdentityCache};
use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, error::CredentialsError, future},
};
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;

use crate::{
    fault,
    place::client,
    watch::{also, watched},
};

/// The session's name, which CloudTrail of the other account shows.
const SESSION: &str = "mcp-aws";

/// A role that may be assumed.
#[derive(Debug)]
pub(crate) struct Role {
    request: AssumeRoleFluentBuilder,
    region: String,
}

impl Role {
    /// A role for the credentials of `base`, by the STS of that region.
    pub(crate) fn new(arn: &str, region: String, base: &SdkConfig) -> Self {
        // What is asked while credentials are looked for must not wait for the cache they are looked for in.
        let cache = IdentityCache::no_cache();
        let config = base.to_builder().region(Region::new(region.clone())).identity_cache(cache).build();
        let sts = client!(aws_sdk_sts, &config);
        Self { request: sts.assume_role().role_arn(arn).role_session_name(SESSION), region }
    }

    async fn assume(&self) -> provider::Result {
        let (answer, seen) = Box::pin(watched(&self.region, self.request.clone().send())).await;
        let failed = answer.as_ref().err().map(|error| fault::of(error).throttled(seen.throttled));
        also(seen.ended(failed.as_ref().map(fault::Fault::word)));
        let answer = answer.map_err(CredentialsError::provider_error)?;
        let given = answer.credentials().ok_or_else(|| CredentialsError::unhandled("STS gave no credentials"))?;
        let expiry = SystemTime::try_from(*given.expiration()).map_err(CredentialsError::unhandled)?;
        let mut credentials = Credentials::builder()
            .access_key_id(given.access_key_id())
            .secret_access_key(given.secret_access_key())
            .session_token(given.session_token())
            .expiry(expiry)
            .provider_name(SESSION);
        // arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION
        if let Some(account) = answer.assumed_role_user().and_then(|user| user.arn().split(':').nth(4)) {
            credentials = credentials.account_id(account);
        }
        Ok(credentials.build())
    }
}

impl ProvideCredentials for Role {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}
