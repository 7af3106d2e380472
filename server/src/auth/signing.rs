//! Signs and reads the JWTs of one kind. Pure; the clock is an argument.
//!
//! RFC 8725 throughout: one algorithm, fixed here; each kind of token has its own `typ` and its own derived key, so none passes for
//! another; the claims are typed and all required. The header must be ours byte for byte, which settles `alg`, `kid`, `jku`, `x5u`,
//! `jwk` and `crit` at once. Keys come in generations: a rotation adds one, and the one before is taken for a while longer.

use crate::auth::master::MasterKey;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, RwLock};

/// Issuer of every token of ours.
pub const ISSUER: &str = "karta";
/// The generation that a new server begins with.
const FIRST_KID: &str = "1";

/// A generation of the signing key, as the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generation {
    pub kid: String,
    /// Not secret alone, and not enough alone: see [`Signer::derive`].
    pub salt: String,
    pub created_ms: u64,
    /// Later than it was made, so that every process knows it before the first token comes along.
    pub signs_from_ms: u64,
    /// Until when tokens of the generation before it are taken.
    pub previous_ends_ms: u64,
}

/// What makes one kind of token differ from every other.
pub struct Kind {
    pub typ: &'static str,
    pub audience: &'static str,
    /// Of the derived key.
    pub purpose: &'static str,
    /// Looked at before anything is parsed.
    pub max_bytes: usize,
}

pub struct Signer {
    kind: Kind,
    master: MasterKey,
    validation: Validation,
    /// Oldest first, never empty.
    keys: RwLock<Arc<Vec<Key>>>,
}

struct Key {
    header: Header,
    /// First part of every token it makes, with its dot.
    header_text: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    signs_from_s: u64,
    ends_s: u64,
}

impl Signer {
    pub fn new(master: &MasterKey, kind: Kind) -> Signer {
        let mut validation = Validation::new(Algorithm::HS256);
        // Without this the library takes a token that has no `aud` or `iss` at all.
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[kind.audience]);
        // Times are judged by the caller, by the clock that is passed in and without the library's 60 s.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.leeway = 0;
        let signer = Signer {
            kind,
            master: master.clone(),
            validation,
            keys: RwLock::default(),
        };
        signer.set(&[]);
        signer
    }

    /// The generations after the first, in the order in which they were made.
    pub fn set(&self, later: &[Generation]) {
        let first = Generation {
            kid: FIRST_KID.to_owned(),
            ..Generation::default()
        };
        let all: Vec<&Generation> = std::iter::once(&first).chain(later).collect();
        let keys = all.iter().enumerate().map(|(at, generation)| {
            let ends_ms = all.get(at + 1).map(|next| next.previous_ends_ms);
            self.key(generation, ends_ms.unwrap_or(u64::MAX))
        });
        let keys = Arc::new(keys.collect());
        *self.keys.write().unwrap_or_else(|e| e.into_inner()) = keys;
    }

    /// Deterministic: the same claims give the same token, so a replacement can be made again instead of being stored.
    pub fn sign(&self, claims: &impl Serialize, iat: u64) -> String {
        let keys = self.keys();
        let key = keys.iter().rev().find(|key| key.signs_from_s <= iat);
        // The first generation signs from the beginning of time, so there always is one.
        let key = key.unwrap_or(&keys[0]);
        // HMAC over plain data with a key of our own: cannot fail.
        jsonwebtoken::encode(&key.header, claims, &key.encoding).expect("plain claims are signed")
    }

    /// The claims, if the token is ours and its generation is still taken. Times are the caller's business.
    pub fn read<C: DeserializeOwned + Clone>(&self, token: &str, now_s: u64) -> Option<C> {
        self.read_if(token, |key| now_s < key.ends_s)
    }

    /// The claims of a token that we ever made, however old.
    pub fn recognise<C: DeserializeOwned + Clone>(&self, token: &str) -> Option<C> {
        self.read_if(token, |_| true)
    }

    fn read_if<C: DeserializeOwned + Clone>(
        &self,
        token: &str,
        taken: impl Fn(&Key) -> bool,
    ) -> Option<C> {
        if token.len() > self.kind.max_bytes {
            return None;
        }
        let keys = self.keys();
        let key = keys
            .iter()
            .find(|key| token.starts_with(&key.header_text))?;
        if !taken(key) {
            return None;
        }
        jsonwebtoken::decode::<C>(token.as_bytes(), &key.decoding, &self.validation)
            .ok()
            .map(|read| read.claims)
    }

    fn key(&self, generation: &Generation, ends_ms: u64) -> Key {
        let header = Header {
            typ: Some(self.kind.typ.to_owned()),
            kid: Some(generation.kid.clone()),
            ..Header::new(Algorithm::HS256)
        };
        // A struct of strings: cannot fail.
        let json = serde_json::to_vec(&header).expect("a header is plain data");
        let secret = self.derive(generation);
        Key {
            header,
            header_text: BASE64_URL_SAFE_NO_PAD.encode(json) + ".",
            encoding: EncodingKey::from_secret(&secret),
            decoding: DecodingKey::from_secret(&secret),
            signs_from_s: generation.signs_from_ms.div_ceil(1000),
            ends_s: ends_ms / 1000,
        }
    }

    /// From the master key and the salt: who has only one of the two files signs nothing.
    fn derive(&self, generation: &Generation) -> [u8; 32] {
        let Generation { kid, salt, .. } = generation;
        self.master
            .derive(&format!("{} v2/{kid}/{salt}", self.kind.purpose))
    }

    fn keys(&self) -> Arc<Vec<Key>> {
        // A whole Arc is written or none, so a poisoned lock holds good keys.
        self.keys.read().unwrap_or_else(|e| e.into_inner()).clone()
    }
}
