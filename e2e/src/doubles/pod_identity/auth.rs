//! EKS Auth, as far as Pod Identity goes: `AssumeRoleForPodIdentity`.
//!
//! In: `POST /clusters/NAME/assume-role-for-pod-identity` with a pod's token. Out: what the documentation shows: subject,
//! audience, association, user and credentials; or an error by its documented code. Association and role are looked up at
//! each call, so nothing outlives a deletion but the sessions that STS gave out.
//! Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_auth_AssumeRoleForPodIdentity.html>.

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    AUDIENCE,
    cloud::Cloud,
    token::{Refusal, verify},
};

/// EKS Auth of one cluster.
#[derive(Clone)]
pub(super) struct Auth {
    client: Client,
    cloud: Cloud,
}

#[derive(Deserialize)]
struct Asked {
    token: String,
}

/// What it says instead.
#[derive(Debug)]
struct Fault(StatusCode, &'static str, String);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        (status, [("x-amzn-errortype", code)], Json(json!({"message": message}))).into_response()
    }
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException", format!("{error:#}"))
    }
}

impl Auth {
    pub(super) const fn new(client: Client, cloud: Cloud) -> Self {
        Self { client, cloud }
    }

    pub(super) fn routes(self) -> Router {
        Router::new().route("/clusters/{cluster}/assume-role-for-pod-identity", post(assume)).with_state(self)
    }

    /// A document of the API server's issuer.
    async fn published(&self, path: &str) -> Result<String> {
        let request = http::Request::get(path).body(Vec::new())?;
        self.client.request_text(request).await.with_context(|| format!("get {path}"))
    }
}

async fn assume(
    State(auth): State<Auth>,
    Path(cluster): Path<String>,
    Json(Asked { token }): Json<Asked>,
) -> Result<Json<Value>, Fault> {
    if cluster != auth.cloud.cluster {
        let message = format!("there is no cluster {cluster}");
        return Err(Fault(StatusCode::NOT_FOUND, "ResourceNotFoundException", message));
    }
    let keys = serde_json::from_str(&auth.published("/openid/v1/jwks").await?).context("read the issuer's keys")?;
    let issuer: Value = serde_json::from_str(&auth.published("/.well-known/openid-configuration").await?)
        .context("read what the issuer says of itself")?;
    let issuer = issuer.get("issuer").and_then(Value::as_str).context("the issuer has no name")?;
    let subject = verify(&token, &keys, issuer).map_err(|refusal| match refusal {
        Refusal::Expired => Fault(StatusCode::BAD_REQUEST, "ExpiredTokenException", "the token has expired".to_owned()),
        Refusal::Invalid(why) => Fault(StatusCode::BAD_REQUEST, "InvalidTokenException", why),
    })?;
    let Some(found) = auth.cloud.association(&subject.namespace, &subject.service_account).await? else {
        let message = format!("{}/{} has no association", subject.namespace, subject.service_account);
        return Err(Fault(StatusCode::NOT_FOUND, "ResourceNotFoundException", message));
    };
    let session = auth
        .cloud
        .assume(&found, &subject)
        .await
        .map_err(|error| Fault(StatusCode::BAD_REQUEST, "AccessDeniedException", format!("{error:#}")))?;
    let (user, key) = (session.user, session.credentials);
    Ok(Json(json!({
        "subject": {"namespace": subject.namespace, "serviceAccount": subject.service_account},
        "audience": AUDIENCE,
        "podIdentityAssociation": {
            "associationArn": found.association_arn,
            "associationId": found.association_id,
        },
        "assumedRoleUser": {"arn": user.arn, "assumeRoleId": user.assumed_role_id},
        "credentials": {
            "accessKeyId": key.access_key_id,
            "secretAccessKey": key.secret_access_key,
            "sessionToken": key.session_token,
            "expiration": key.expiration.secs(),
        },
    })))
}
