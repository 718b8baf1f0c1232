//! Looks at AWS, asks the plan, does the one action.
//!
//! In: an [`Intent`], and what is remembered of the last steps. Out: an [`Outcome`]; after a write it ends, so that what was
//! learned can be published before the next one. Every call goes through [`Associations`]; nothing else is touched.

use tokio::time::Instant;

use super::{
    Association, Associations, Call, Change, Class, Failure, Key,
    associations::of_key,
    plan::{Foreign, Intent, Next, SETTLE, Seen, Written, change, next},
};

/// How one look at AWS ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The association is as wished, and AWS shows it.
    Have(Association),
    /// There is nothing of ours.
    Gone,
    /// Something was written: look again.
    Wrote(Call, Written),
    /// AWS does not show yet what was done: look again.
    Wait(&'static str),
    /// Only a person can go on.
    Stop(Foreign),
}

/// What is remembered of the last steps; nothing after a restart.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Id of the last association of this server that was seen or made.
    pub last: Option<String>,
    written: Option<(Instant, Written)>,
}

impl Memory {
    /// Remembers no more than the id that was published.
    #[must_use]
    pub fn of(last: Option<String>) -> Self {
        Self { last, written: None }
    }

    /// What was written a moment ago.
    fn written(&self) -> Option<&Written> {
        self.written.as_ref().filter(|(then, _)| then.elapsed() < SETTLE).map(|(_, written)| written)
    }

    fn learn(&mut self, outcome: &Result<Outcome, Failure>) {
        match outcome {
            Ok(Outcome::Have(found)) => self.last = Some(found.id.clone()),
            Ok(Outcome::Wrote(_, written)) => {
                if let Written::Is(found) = written {
                    self.last = Some(found.id.clone());
                }
                self.written = Some((Instant::now(), written.clone()));
            }
            // Whether it was done is shown by AWS alone: what was written before is no longer the last word.
            Err(failure) if failure.call.is_write() => self.written = None,
            _ => {}
        }
    }
}

/// Goes one step.
pub async fn pursue(
    aws: &dyn Associations,
    intent: Intent<'_>,
    key: &Key,
    memory: &mut Memory,
) -> Result<Outcome, Failure> {
    let outcome = step(aws, intent, key, memory).await;
    memory.learn(&outcome);
    outcome
}

async fn step(aws: &dyn Associations, intent: Intent<'_>, key: &Key, memory: &Memory) -> Result<Outcome, Failure> {
    // What goes, or is no longer ours to look after, is looked at now; the rest may come from a cache.
    let mut live = matches!(intent, Intent::Lose(..) | Intent::Leave(_));
    let listed = if live { of_key(aws, key).await? } else { aws.known(key).await? };
    let (last, written) = (memory.last.as_deref(), memory.written());
    let last = last.or_else(|| listed.first().map(|found| found.id.as_str()));
    let mut described = None;
    loop {
        let seen = Seen { listed: &listed, described: described.as_ref(), last, written };
        match next(intent, &seen) {
            Next::Look(id) => match if live { aws.describe(&id) } else { aws.described(&id) }.await {
                Ok(found) if found.id == id => described = Some(found),
                Ok(found) => return Err(strange(Call::Describe, &id, &format!("AWS described {} instead", found.id))),
                Err(failure) if failure.class == Class::NotFound => return Ok(Outcome::Wait(STILL_LISTED)),
                Err(failure) => return Err(failure),
            },
            Next::Create(new) => {
                return match aws.create(&new).await {
                    Ok(made) => Ok(Outcome::Wrote(Call::Create, Written::Is(Box::new(made)))),
                    Err(failure) if failure.class == Class::InUse => Ok(Outcome::Wait(IN_USE)),
                    Err(failure) => Err(failure),
                };
            }
            Next::Update { id, change } => {
                return match aws.update(&id, &change).await {
                    Ok(changed) => taken(intent, changed),
                    Err(failure) if failure.class == Class::NotFound => Ok(Outcome::Wait(STILL_LISTED)),
                    Err(failure) => Err(failure),
                };
            }
            Next::Tag { arn, tags } => {
                let Some(mut tagged) = described else { return Ok(Outcome::Wait(STILL_LISTED)) };
                return match aws.tag(&arn, &tags).await {
                    Ok(()) => {
                        tagged.tags.extend(tags);
                        Ok(Outcome::Wrote(Call::Tag, Written::Is(Box::new(tagged))))
                    }
                    Err(failure) if failure.class == Class::NotFound => Ok(Outcome::Wait(STILL_LISTED)),
                    Err(failure) => Err(failure),
                };
            }
            Next::Delete { .. } if !live => (live, described) = (true, None),
            Next::Delete { id } => {
                return match aws.delete(&id).await {
                    Err(failure) if failure.class != Class::NotFound => Err(failure),
                    // Who deleted it does not matter.
                    _ => Ok(Outcome::Wrote(Call::Delete, Written::Deleted(id))),
                };
            }
            Next::Wait(why) => return Ok(Outcome::Wait(why)),
            Next::Stop(foreign) => return Ok(Outcome::Stop(foreign)),
            Next::Have(found) => return Ok(Outcome::Have(found)),
            Next::Gone => return Ok(Outcome::Gone),
        }
    }
}

/// An answer that is not as wished would be asked for again and again.
fn taken(intent: Intent<'_>, changed: Association) -> Result<Outcome, Failure> {
    if let Intent::Have(wish) = intent
        && let Some(left) = change(&wish.grant, &changed.grant)
    {
        let message = format!("AWS says yes, and does not change {}", fields(&left).join(", "));
        return Err(Failure { class: Class::Invalid, ..strange(Call::Update, &changed.id, &message) });
    }
    Ok(Outcome::Wrote(Call::Update, Written::Is(Box::new(changed))))
}

/// Names of what is to change, as the API has them.
fn fields(change: &Change) -> Vec<&'static str> {
    let fields = [
        ("roleArn", change.role_arn.is_some()),
        ("targetRoleArn", change.target_role_arn.is_some()),
        ("policy", change.policy.is_some()),
        ("disableSessionTags", change.disable_session_tags.is_some()),
    ];
    fields.into_iter().filter_map(|(name, changes)| changes.then_some(name)).collect()
}

const STILL_LISTED: &str = "AWS still lists an association that is gone";
const IN_USE: &str = "AWS has an association of this ServiceAccount that it does not list yet, or that is going";

fn strange(call: Call, subject: &str, message: &str) -> Failure {
    Failure { call, subject: subject.to_owned(), class: Class::Transient, message: message.to_owned() }
}
