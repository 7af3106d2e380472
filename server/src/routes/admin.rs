//! The admin API, for the owner's own servers: one file per resource. Every call has passed `border/admin.rs`. Checks and words are the
//! service layer's, the same as at the command line.

use crate::error::{ApiError, Fault};
use crate::extract::Unreadable;
use crate::service::ServiceError;
use karta_protocol::ErrorCode;
use serde::Deserialize;
use utoipa::IntoParams;

pub mod agents;
pub mod conversations;
pub mod knowledge;
pub mod openapi;
pub mod widget_keys;
pub mod widget_settings;

const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 100;

/// Which part of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// At most so many, 1 to 100; 50 where it is not given.
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Where a page begins: time and id of the last one before it, which may be gone.
type Place<'a> = (u64, &'a str);

/// What a list is ordered by: oldest first.
trait Listed {
    fn created_ms(&self) -> u64;
    fn id(&self) -> &str;
}

impl Asked {
    /// One page of a list, and the cursor of the next where there is more. The cursor is a place, not a member: it stays good when
    /// the member it came from is deleted.
    fn page<T: Listed>(&self, all: Vec<T>) -> Result<(Vec<T>, Option<String>), ApiError> {
        let (after, limit) = self.checked()?;
        let mut rest = all
            .into_iter()
            .filter(|one| after.is_none_or(|after| (one.created_ms(), one.id()) > after));
        let page: Vec<T> = rest.by_ref().take(limit).collect();
        let more = rest.next().is_some();
        let next = page
            .last()
            .filter(|_| more)
            .map(|last| format!("{}.{}", last.created_ms(), last.id()));
        Ok((page, next))
    }

    /// The place to go on from, as time and id, and how many are wanted.
    fn checked(&self) -> Result<(Option<Place<'_>>, usize), ApiError> {
        let invalid = |words: &str| ApiError::new(ErrorCode::RequestInvalid, words);
        let limit = self.limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(invalid("limit must lie between 1 and 100."));
        }
        let after = match self.after.as_deref() {
            None => None,
            Some(cursor) => {
                let (created_ms, id) = cursor.split_once('.').unwrap_or((cursor, ""));
                let created_ms: u64 = created_ms.parse().map_err(|_| {
                    invalid(
                        "after is not a cursor. Give `next` of the page before, or leave it out.",
                    )
                })?;
                Some((created_ms, id))
            }
        };
        Ok((after, limit))
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> ApiError {
        // As at the command line.
        let words = error.to_string();
        match error {
            ServiceError::Invalid(_) => ApiError::new(ErrorCode::RequestInvalid, words),
            ServiceError::NotFound(_) => ApiError::new(ErrorCode::NotFound, words),
            ServiceError::InUse(_) => ApiError::new(ErrorCode::AgentInUse, words),
            ServiceError::Unreadable(_, Unreadable::TooLarge) => {
                ApiError::new(ErrorCode::PayloadTooLarge, words)
            }
            ServiceError::Unreadable(_, Unreadable::Unavailable) => {
                ApiError::new(ErrorCode::Overloaded, words)
            }
            ServiceError::Unreadable(..) => ApiError::new(ErrorCode::RequestInvalid, words),
            ServiceError::Store(error) => Fault::from(error).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Listed for (u64, &str) {
        fn created_ms(&self) -> u64 {
            self.0
        }
        fn id(&self) -> &str {
            self.1
        }
    }

    #[test]
    fn pages_meet_without_gap_or_repeat_also_when_a_member_goes() {
        let all = [(1, "b"), (2, "a"), (2, "b"), (2, "c"), (9, "a")];
        for limit in 1..=6 {
            let mut seen = Vec::new();
            let mut after = None;
            loop {
                let asked = Asked {
                    limit: Some(limit),
                    after: after.take(),
                };
                // The member that the cursor came from is deleted.
                let left = all.into_iter().filter(|one| seen.last() != Some(one));
                let (page, next) = asked.page(left.collect()).expect("a page");
                assert!(page.len() <= limit);
                seen.extend(page);
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen, all, "{limit}");
        }
    }

    #[test]
    fn odd_pages_are_refused() {
        for (limit, after) in [
            (Some(0), None),
            (Some(101), None),
            (None, Some("")),
            (None, Some("k_1")),
            (None, Some("-1.k_1")),
            (None, Some("99999999999999999999.k")),
        ] {
            let asked = Asked {
                limit,
                after: after.map(str::to_owned),
            };
            assert!(asked.page(vec![(1, "a")]).is_err(), "{limit:?} {after:?}");
        }
    }
}
