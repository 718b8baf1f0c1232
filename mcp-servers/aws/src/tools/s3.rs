//! `s3_list_buckets`, `s3_list_objects`, `s3_get_object`, `s3_put_object`.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_s3::primitives::ByteStream;
use base64::{Engine, engine::general_purpose::STANDARD};
use mcp_kit::{Tool, ToolError};

use super::{READ, listing, spread::paged, tool, writing};
use crate::{
    answer::{Chunk, PAGE, answer, arguments, own, said, time},
    fault::Kind,
    place::{Aws, Place},
};

/// Of an object, in one answer.
const LARGEST: i64 = 40 * 1024;
/// Of an object that is written: what a request to this server can hold.
const LARGEST_PUT: usize = 200 * 1024;
/// An object's key is its name: audit records keep it.
const NAMES: &[&str] = &["key"];

arguments!(Buckets { ; prefix: String, cursor: String });
arguments!(Objects {
    bucket: String ;
    prefix: String,
    /// "/" lists like a directory
    delimiter: String,
    cursor: String,
});
arguments!(Get {
    bucket: String, key: String ;
    /// First byte, from 0
    offset: i64,
});
arguments!(Put {
    bucket: String, key: String, text: String ;
    content_type: String,
    /// ETag the object must still have; without it, there must be no object yet
    if_match: String,
    dry_run: bool,
});
paged!(Buckets, Objects);

answer!(Bucket { bucket: String ; created: String, region: String });
answer!(Object { key: String ; size: i64, modified: String, etag: String, storage_class: String });
answer!(Content {
    key: String, size: i64, offset: i64 ;
    text: String, base64: String, next_offset: i64, content_type: String, etag: String, modified: String,
});
answer!(Written { key: String, message: String ; etag: String, previous_etag: String, version: String });

pub(super) fn tools(aws: &Arc<Aws>) -> Vec<Tool> {
    vec![
        listing(aws, "s3_list_buckets", "List S3 buckets", "List the account's buckets.", false, buckets),
        listing(
            aws,
            "s3_list_objects",
            "List S3 objects",
            "List a bucket's objects and common prefixes.",
            false,
            objects,
        ),
        tool(aws, "s3_get_object", "Get S3 object", "Read an object, text or base64, 40 KiB at a time.", READ, get)
            .with_plain(NAMES),
        writing(
            aws,
            "s3_put_object",
            "Put S3 object",
            "Write a text object: a new one, or in place of the one with if_match. dry_run only checks.",
            (true, true),
            put,
        )
        .with_plain(NAMES),
    ]
}

fn client(config: &SdkConfig) -> aws_sdk_s3::Client {
    let mut builder = aws_sdk_s3::config::Builder::from(config).interceptor(crate::watch::Watch);
    // Another endpoint than AWS's own has no name for every bucket.
    if config.endpoint_url().is_some() {
        builder = builder.force_path_style(true);
    }
    aws_sdk_s3::Client::from_conf(builder.build())
}

async fn buckets(arguments: Arc<Buckets>, place: Place, token: Option<String>) -> Result<Chunk<Bucket>, ToolError> {
    let request = client(place.reads()).list_buckets().max_buckets(PAGE).set_continuation_token(token);
    let answer = place.ask("s3:ListAllMyBuckets", request.set_prefix(arguments.prefix.clone()).send()).await?;
    let found = answer.buckets().iter().map(|bucket| Bucket {
        bucket: said(bucket.name()),
        created: time(bucket.creation_date()),
        region: own(bucket.bucket_region()),
    });
    Ok(Chunk::new(found.collect(), answer.continuation_token()))
}

async fn objects(arguments: Arc<Objects>, place: Place, token: Option<String>) -> Result<Chunk<Object>, ToolError> {
    let request = client(place.reads())
        .list_objects_v2()
        .bucket(&arguments.bucket)
        .set_prefix(arguments.prefix.clone())
        .set_delimiter(arguments.delimiter.clone())
        .max_keys(PAGE)
        .set_continuation_token(token);
    let answer = place.ask("s3:ListBucket", request.send()).await?;
    let prefixes = answer.common_prefixes().iter().map(|prefix| Object {
        key: said(prefix.prefix()),
        size: None,
        modified: None,
        etag: None,
        storage_class: None,
    });
    let found = answer.contents().iter().map(|object| Object {
        key: said(object.key()),
        size: object.size(),
        modified: time(object.last_modified()),
        etag: own(object.e_tag()),
        storage_class: object.storage_class().map(|class| class.as_str().to_owned()),
    });
    Ok(Chunk::new(prefixes.chain(found).collect(), answer.next_continuation_token()))
}

async fn get(arguments: Get, place: Place) -> Result<Content, ToolError> {
    let offset = arguments.offset.unwrap_or_default();
    if offset < 0 {
        return Err(ToolError::new("offset: expected 0 or more"));
    }
    let request = client(place.reads()).get_object().bucket(&arguments.bucket).key(&arguments.key);
    let request = request.range(format!("bytes={offset}-{}", offset.saturating_add(LARGEST - 1)));
    let answer = match place.try_ask("s3:GetObject", request.send()).await? {
        Ok(answer) => answer,
        // A range of nothing is an error to S3, and an empty object to everybody else.
        Err(fault) if fault.code == "InvalidRange" && offset == 0 => {
            return Ok(Content {
                key: arguments.key,
                size: 0,
                offset,
                text: Some(String::new()),
                base64: None,
                next_offset: None,
                content_type: None,
                etag: None,
                modified: None,
            });
        }
        Err(fault) => return Err(fault.told(&place, "s3:GetObject")),
    };
    let total = answer.content_range().and_then(|range| range.rsplit('/').next()?.parse::<i64>().ok());
    let (content_type, etag) = (own(answer.content_type()), own(answer.e_tag()));
    let modified = time(answer.last_modified());
    let length = answer.content_length().unwrap_or_default();
    if length > LARGEST {
        return Err(ToolError::new("S3 did not keep to the range that was asked for"));
    }
    let broken = |error: aws_sdk_s3::primitives::ByteStreamError| {
        ToolError::upstream(format!("S3 broke off in the middle of the object: {error}"))
    };
    let bytes = answer.body.collect().await.map_err(broken)?.into_bytes();
    let size = total.unwrap_or(length);
    let (text, encoded, used) = content(&bytes);
    let next = offset + i64::try_from(used).unwrap_or_default();
    Ok(Content {
        key: arguments.key,
        size,
        offset,
        text,
        base64: encoded,
        next_offset: (next < size).then_some(next),
        content_type,
        etag,
        modified,
    })
}

/// Text where it is text (a character cut at the end waits for the next part), else base64; and how many bytes are in it.
fn content(bytes: &[u8]) -> (Option<String>, Option<String>, usize) {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            bytes.get(..error.valid_up_to()).and_then(|bytes| std::str::from_utf8(bytes).ok())
        }
        Err(_) => None,
    };
    match valid.filter(|text| !text.contains('\0')) {
        Some(text) => (Some(text.to_owned()), None, text.len()),
        None => (None, Some(STANDARD.encode(bytes)), bytes.len()),
    }
}

async fn put(arguments: Put, place: Place) -> Result<Written, ToolError> {
    let Put { bucket, key, text, if_match, .. } = &arguments;
    if text.len() > LARGEST_PUT {
        return Err(ToolError::new(format!("text: expected at most {LARGEST_PUT} bytes, found {}", text.len())));
    }
    // Tells an object that is not there from one that may not be seen; the head of an object has no words for either.
    let reads = client(place.reads());
    let request = reads.list_objects_v2().bucket(bucket).prefix(key).max_keys(1);
    let listed = place.ask("s3:ListBucket", request.send()).await?;
    let exists = listed.contents().first().is_some_and(|object| object.key() == Some(key));
    let previous = if exists {
        match place.try_ask("s3:GetObject", reads.head_object().bucket(bucket).key(key).send()).await? {
            Ok(head) => own(head.e_tag()),
            Err(fault) if fault.kind == Kind::NotFound => None,
            Err(fault) => return Err(fault.told(&place, "s3:GetObject")),
        }
    } else {
        None
    };
    match (&previous, if_match) {
        (Some(etag), None) => {
            return Err(ToolError::new(format!(
                "there is an object {key:?} already; to replace it, give if_match: {etag}"
            )));
        }
        (Some(etag), Some(wanted)) if etag.trim_matches('"') != wanted.trim_matches('"') => {
            return Err(ToolError::new(format!(
                "{key:?} has changed: expected ETag {wanted}, found {etag}; read it again"
            )));
        }
        (None, Some(_)) => {
            return Err(ToolError::new(format!("there is no object {key:?}; leave if_match out to make it")));
        }
        _ => {}
    }
    if arguments.dry_run == Some(true) {
        let message = "dry run: it would be written; permission to write was not checked".to_owned();
        return Ok(Written { key: key.clone(), message, etag: None, previous_etag: previous, version: None });
    }
    let mut request = client(&place.writes())
        .put_object()
        .bucket(bucket)
        .key(key)
        .body(ByteStream::from(text.clone().into_bytes()))
        .content_type(arguments.content_type.clone().unwrap_or_else(|| "text/plain; charset=utf-8".to_owned()));
    // S3 checks again, so that nothing written in between is lost.
    request = match &previous {
        Some(etag) => request.if_match(etag),
        None => request.if_none_match("*"),
    };
    match place.try_ask("s3:PutObject", request.send()).await? {
        Ok(answer) => Ok(Written {
            key: key.clone(),
            message: if previous.is_some() { "replaced" } else { "created" }.to_owned(),
            etag: own(answer.e_tag()),
            previous_etag: previous,
            version: own(answer.version_id()),
        }),
        Err(fault) if matches!(fault.code.as_str(), "PreconditionFailed" | "ConditionalRequestConflict") => {
            Err(ToolError::new(format!("{key:?} was changed by somebody else in this moment; read it again")))
        }
        Err(fault) => Err(fault.told(&place, "s3:PutObject")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_the_rest_is_base64() {
        assert_eq!(content("é".as_bytes()), (Some("é".into()), None, 2));
        assert_eq!(content(&"aé".as_bytes()[..2]), (Some("a".into()), None, 1));
        assert_eq!(content(&[0xff, 0x00]), (None, Some("/wA=".into()), 2));
        assert_eq!(content(b"a\0b").1, Some("YQBi".into()));
        assert_eq!(content(b""), (Some(String::new()), None, 0));
    }
}
