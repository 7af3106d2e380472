//! The session token: what to ask for next, and what a 401 means. One mint at a time is the owner's business ([`Token::need`]
//! only says what is missing); the clock is the server's `expires_in`, never the page's.

use crate::engine::command::Secret;

#[derive(Clone, Debug, Default)]
pub struct Token {
    value: Option<Secret>,
    /// The server refused `value`: refresh before anything else.
    stale: bool,
    /// Counts tokens, so that a late 401 of an old one is told from one of the current.
    generation: u32,
    rung: Rung,
    /// Another one is wanted, though `value` may still be good: the page has said who the visitor is.
    renewal: bool,
}

/// How far the repair of refused tokens has come. Back to the start when a token is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Rung {
    #[default]
    Good,
    Refreshed,
    MintedAnew,
}

/// What stands between us and a usable token.
#[derive(Debug, PartialEq)]
pub enum Need {
    /// A first token, or a new one because the old cannot be refreshed. The visitor id stays.
    Mint,
    Refresh(Secret),
}

/// What a 401 leads to.
#[derive(Debug, PartialEq)]
pub enum Repair {
    /// Try again as soon as a token is there.
    Now,
    /// Everything was tried: wait like after any failure.
    Later,
}

impl Token {
    pub fn need(&self) -> Option<Need> {
        match &self.value {
            None => Some(Need::Mint),
            Some(_) if self.renewal => Some(Need::Mint),
            Some(value) if self.stale => Some(Need::Refresh(value.clone())),
            Some(_) => None,
        }
    }

    /// The token for `Authorization`, while it is thought good.
    pub fn usable(&self) -> Option<&Secret> {
        self.value.as_ref().filter(|_| !self.stale)
    }

    /// The token even if it is refused: for a refresh ahead of time, and for goodbyes.
    pub fn any(&self) -> Option<&Secret> {
        self.value.as_ref()
    }

    /// The server has talked to us.
    pub fn was_granted(&self) -> bool {
        self.generation > 0
    }

    /// A new one is minted; the old one serves until it is there.
    pub fn renew(&mut self) {
        self.renewal = true;
        self.rung = Rung::Good;
    }

    pub fn generation(&self) -> u32 {
        self.generation
    }

    pub fn granted(&mut self, value: String) {
        self.value = Some(Secret(value));
        self.stale = false;
        self.renewal = false;
        self.generation = self.generation.wrapping_add(1);
    }

    /// A token that was granted to an instance of us before: to be refreshed before anything else.
    pub fn inherited(&mut self, value: Secret) {
        self.value = Some(value);
        self.stale = true;
        self.renewal = false;
    }

    /// A request with the token of `generation` was answered 401.
    pub fn refused(&mut self, generation: u32) -> Repair {
        // An older token, or the second of two requests that the same token was refused for: the repair is under way.
        if generation != self.generation || self.usable().is_none() {
            return Repair::Now;
        }
        match self.rung {
            Rung::Good => {
                self.stale = true;
                self.rung = Rung::Refreshed;
                Repair::Now
            }
            Rung::Refreshed => {
                self.value = None;
                self.rung = Rung::MintedAnew;
                Repair::Now
            }
            Rung::MintedAnew => {
                self.value = None;
                Repair::Later
            }
        }
    }

    /// The server will not refresh this token.
    pub fn refresh_refused(&mut self) {
        self.value = None;
        self.stale = false;
    }

    /// A request with the current token went through.
    pub fn accepted(&mut self) {
        self.rung = Rung::Good;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted() -> Token {
        let mut token = Token::default();
        token.granted("t1".into());
        token
    }

    #[test]
    fn first_token_is_minted() {
        assert_eq!(Token::default().need(), Some(Need::Mint));
        assert_eq!(granted().need(), None);
    }

    #[test]
    fn refused_token_is_refreshed_then_minted_anew_then_waits() {
        let mut token = granted();
        assert_eq!(token.refused(1), Repair::Now);
        assert_eq!(token.need(), Some(Need::Refresh(Secret("t1".into()))));
        assert_eq!(token.usable(), None);
        token.granted("t2".into());
        assert_eq!(token.refused(2), Repair::Now);
        assert_eq!(token.need(), Some(Need::Mint));
        token.granted("t3".into());
        assert_eq!(token.refused(3), Repair::Later);
        assert_eq!(token.need(), Some(Need::Mint));
    }

    #[test]
    fn late_refusal_of_an_old_token_changes_nothing() {
        let mut token = granted();
        token.granted("t2".into());
        assert_eq!(token.refused(1), Repair::Now);
        assert_eq!(token.need(), None);
    }

    #[test]
    fn two_requests_refused_at_once_are_one_refusal() {
        let mut token = granted();
        token.refused(1);
        assert_eq!(token.refused(1), Repair::Now);
        assert_eq!(token.need(), Some(Need::Refresh(Secret("t1".into()))));
    }

    #[test]
    fn accepted_token_starts_the_ladder_again() {
        let mut token = granted();
        token.refused(1);
        token.granted("t2".into());
        token.accepted();
        token.refused(2);
        assert_eq!(token.need(), Some(Need::Refresh(Secret("t2".into()))));
    }

    #[test]
    fn renewal_mints_while_the_old_token_serves() {
        let mut token = granted();
        token.renew();
        assert_eq!(token.need(), Some(Need::Mint));
        assert_eq!(token.usable(), Some(&Secret("t1".into())));
        token.granted("t2".into());
        assert_eq!(token.need(), None);
    }

    #[test]
    fn refused_refresh_leads_to_a_new_mint() {
        let mut token = granted();
        token.refused(1);
        token.refresh_refused();
        assert_eq!(token.need(), Some(Need::Mint));
    }
}
