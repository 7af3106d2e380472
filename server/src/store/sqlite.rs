//! SQLite, embedded: one file, one writer ([`writer`]), a few readers. The command line opens the same file beside a running
//! server; SQLite's own locks and `busy_timeout` keep the two apart.

use super::{
    AdminToken, Agent, Appended, Began, Charge, Found, HandedCall, KnowledgeDocument,
    SessionRecord, SpentToken, Store, StoreError, User, WidgetKey,
};
use crate::auth::signing::Generation;
use async_trait::async_trait;
use karta_protocol::{Branding, SessionEvent};
use read::Reads;
use serde_json::{Map, Value};
use write::{Write, Wrote};
use writer::Writer;

mod charge;
mod document;
mod identity;
mod migrations;
mod open;
mod read;
mod retention;
mod row;
mod search;
#[cfg(test)]
mod tests;
mod write;
mod writer;

pub struct SqliteStore {
    readers: Reads,
    writer: Writer,
}

impl SqliteStore {
    /// How many transactions the writer has committed: tests prove group commit with it.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    /// Waits until everything handed in is written, then closes the file.
    pub async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }

    async fn write(&self, write: Write) -> Result<(), StoreError> {
        self.writer.write(write).await.map(|_| ())
    }

    async fn append_maybe_charged(
        &self,
        session_id: &str,
        events: Vec<SessionEvent>,
        charge: Option<Charge>,
    ) -> Result<Appended, StoreError> {
        let write = Write::Append(session_id.into(), events, charge);
        match self.writer.write(write).await? {
            Wrote::Appended(appended) => Ok(appended),
            _ => Err(StoreError::Corrupt("append".into())),
        }
    }

    /// For writes that say whether they changed something.
    async fn write_if(&self, write: Write) -> Result<bool, StoreError> {
        Ok(matches!(
            self.writer.write(write).await?,
            Wrote::Changed(true)
        ))
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn waiting_writes(&self) -> usize {
        self.writer.waiting()
    }

    async fn key_by_public(&self, public_key: &str) -> Result<Option<WidgetKey>, StoreError> {
        self.readers.key_by_public(public_key).await
    }

    async fn key_by_id(&self, id: &str) -> Result<Option<WidgetKey>, StoreError> {
        self.readers.key_by_id(id).await
    }

    async fn keys(&self, account: &str) -> Result<Vec<WidgetKey>, StoreError> {
        self.readers.keys(account).await
    }

    async fn put_key(&self, key: &WidgetKey) -> Result<(), StoreError> {
        self.write(Write::Key(key.clone())).await
    }

    async fn remove_key(&self, account: &str, id: &str) -> Result<bool, StoreError> {
        self.write_if(Write::RemoveKey(account.into(), id.into()))
            .await
    }

    async fn admin_token(&self, account: &str) -> Result<Option<AdminToken>, StoreError> {
        self.readers.admin_token(account).await
    }

    async fn put_admin_token(&self, account: &str, token: &AdminToken) -> Result<(), StoreError> {
        self.write(Write::AdminToken(account.into(), token.clone()))
            .await
    }

    async fn put_first_admin_token(
        &self,
        account: &str,
        token: &AdminToken,
    ) -> Result<bool, StoreError> {
        self.write_if(Write::FirstAdminToken(account.into(), token.clone()))
            .await
    }

    async fn put_key_secrets(&self, key: &WidgetKey) -> Result<(), StoreError> {
        self.write(Write::KeySecrets(key.clone())).await
    }

    async fn agent(&self, id: &str) -> Result<Option<Agent>, StoreError> {
        self.readers.agent(id).await
    }

    async fn agents(&self, account: &str) -> Result<Vec<Agent>, StoreError> {
        self.readers.agents(account).await
    }

    async fn put_agent(&self, agent: &Agent) -> Result<(), StoreError> {
        self.write(Write::Agent(agent.clone())).await
    }

    async fn remove_agent(&self, account: &str, id: &str) -> Result<bool, StoreError> {
        self.write_if(Write::RemoveAgent(account.into(), id.into()))
            .await
    }

    async fn removed_agents(&self, account: &str) -> Result<Vec<(String, u32)>, StoreError> {
        self.readers.removed_agents(account).await
    }

    async fn ticked_documents(&self, agent_id: &str) -> Result<Vec<String>, StoreError> {
        self.readers.ticked_documents(agent_id).await
    }

    async fn tick_documents(&self, agent_id: &str, ids: &[String]) -> Result<(), StoreError> {
        self.write(Write::TickDocuments(agent_id.into(), ids.to_vec()))
            .await
    }

    async fn branding(&self, account: &str) -> Result<Branding, StoreError> {
        self.readers.branding(account).await
    }

    async fn put_branding(&self, account: &str, branding: &Branding) -> Result<(), StoreError> {
        self.write(Write::Branding(account.into(), branding.clone()))
            .await
    }

    async fn documents(&self, account: &str) -> Result<Vec<KnowledgeDocument>, StoreError> {
        self.readers.documents(account).await
    }

    async fn document(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<KnowledgeDocument>, StoreError> {
        self.readers.document(account, id).await
    }

    async fn put_document(&self, document: &KnowledgeDocument) -> Result<(), StoreError> {
        let passages = super::passage::split(&document.text);
        self.write(Write::Document(document.clone(), passages))
            .await
    }

    async fn remove_document(&self, account: &str, id: &str) -> Result<bool, StoreError> {
        self.write_if(Write::RemoveDocument(account.into(), id.into()))
            .await
    }

    async fn search(
        &self,
        account: &str,
        agent_id: &str,
        query: &str,
        limit: usize,
    ) -> Result<Found, StoreError> {
        self.readers.search(account, agent_id, query, limit).await
    }

    async fn put_visitor(
        &self,
        account: &str,
        visitor_id: &str,
        label: Option<&str>,
    ) -> Result<(), StoreError> {
        let label = label.map(Into::into);
        self.write(Write::Visitor(account.into(), visitor_id.into(), label))
            .await
    }

    async fn visitor_exists(&self, account: &str, visitor_id: &str) -> Result<bool, StoreError> {
        self.readers.visitor_exists(account, visitor_id).await
    }

    async fn put_user(&self, user: &User) -> Result<(), StoreError> {
        self.write(Write::User(user.clone())).await
    }

    async fn user(&self, account: &str, subject: &str) -> Result<Option<User>, StoreError> {
        self.readers.user(account, subject).await
    }

    async fn signing_keys(&self) -> Result<Vec<Generation>, StoreError> {
        self.readers.signing_keys().await
    }

    async fn put_signing_key(&self, generation: &Generation) -> Result<(), StoreError> {
        self.write(Write::SigningKey(generation.clone())).await
    }

    async fn spend_token(
        &self,
        jti: &str,
        expires_ms: u64,
        replacement: Option<&str>,
    ) -> Result<bool, StoreError> {
        self.write_if(Write::SpendToken {
            jti: jti.into(),
            expires_ms,
            replacement: replacement.map(Into::into),
        })
        .await
    }

    async fn spent_token(&self, jti: &str) -> Result<Option<SpentToken>, StoreError> {
        self.readers.spent_token(jti).await
    }

    async fn ended_families(&self, since_ms: u64) -> Result<Vec<String>, StoreError> {
        self.readers.ended_families(since_ms).await
    }

    async fn create_session(&self, record: &SessionRecord) -> Result<(), StoreError> {
        self.write(Write::Session(record.clone())).await
    }

    async fn begin_session(
        &self,
        record: &SessionRecord,
        only: bool,
        charge: Charge,
    ) -> Result<Began, StoreError> {
        let write = Write::BeginSession(record.clone(), only, charge);
        match self.writer.write(write).await? {
            Wrote::Began(began) => Ok(began),
            _ => Err(StoreError::Corrupt("begin a session".into())),
        }
    }

    async fn session(&self, id: &str) -> Result<Option<SessionRecord>, StoreError> {
        self.readers.session(id).await
    }

    async fn put_attributes(
        &self,
        session_id: &str,
        attributes: &Map<String, Value>,
    ) -> Result<(), StoreError> {
        self.write(Write::Attributes(session_id.into(), attributes.clone()))
            .await
    }

    async fn conversation(
        &self,
        account: &str,
        id: &str,
    ) -> Result<Option<(SessionRecord, Option<User>)>, StoreError> {
        self.readers.conversation(account, id).await
    }

    async fn conversations(
        &self,
        account: &str,
        before: Option<(u64, &str)>,
        limit: usize,
    ) -> Result<Vec<(SessionRecord, Option<User>)>, StoreError> {
        self.readers.conversations(account, before, limit).await
    }

    async fn sessions_of(
        &self,
        account: &str,
        subject: &str,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        self.readers.sessions_of(account, subject).await
    }

    async fn unfinished_sessions(&self) -> Result<Vec<SessionRecord>, StoreError> {
        self.readers.unfinished_sessions().await
    }

    async fn append(
        &self,
        session_id: &str,
        events: Vec<SessionEvent>,
    ) -> Result<Appended, StoreError> {
        self.append_maybe_charged(session_id, events, None).await
    }

    async fn append_charged(
        &self,
        session_id: &str,
        events: Vec<SessionEvent>,
        charge: Charge,
    ) -> Result<Appended, StoreError> {
        self.append_maybe_charged(session_id, events, Some(charge))
            .await
    }

    async fn expire_sessions(
        &self,
        agent_id: &str,
        before_ms: u64,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let write = Write::ExpireSessions(agent_id.into(), before_ms, limit);
        match self.writer.write(write).await? {
            Wrote::Forgotten(sessions) => Ok(sessions),
            _ => Err(StoreError::Corrupt("expire sessions".into())),
        }
    }

    async fn expire_events(
        &self,
        agent_id: &str,
        before_ms: u64,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let write = Write::ExpireEvents(agent_id.into(), before_ms, limit);
        match self.writer.write(write).await? {
            Wrote::Counted(n) => Ok(n),
            _ => Err(StoreError::Corrupt("expire events".into())),
        }
    }

    async fn counters(&self, key_id: &str) -> Result<Vec<(String, u64, u64)>, StoreError> {
        self.readers.counters(key_id).await
    }

    async fn put_call(&self, call: &HandedCall) -> Result<(), StoreError> {
        self.write(Write::Call(call.clone())).await
    }

    async fn remove_call(&self, id: &str) -> Result<(), StoreError> {
        self.write(Write::RemoveCall(id.into())).await
    }

    async fn calls(&self) -> Result<Vec<HandedCall>, StoreError> {
        self.readers.calls().await
    }

    async fn take_call(&self, id: &str, from: &str, to: &str) -> Result<bool, StoreError> {
        self.write_if(Write::TakeCall(id.into(), from.into(), to.into()))
            .await
    }

    async fn events(
        &self,
        session_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<SessionEvent>, StoreError> {
        self.readers.events(session_id, after, limit).await
    }

    async fn files(&self, session_id: &str) -> Result<Vec<SessionEvent>, StoreError> {
        self.readers.files(session_id).await
    }

    async fn put_feedback(
        &self,
        session_id: &str,
        part_id: &str,
        rating: &str,
    ) -> Result<bool, StoreError> {
        self.write_if(Write::Feedback {
            session_id: session_id.into(),
            part_id: part_id.into(),
            rating: rating.into(),
        })
        .await
    }

    async fn forget(&self, account: &str, subject: &str) -> Result<Vec<String>, StoreError> {
        let write = Write::Forget(account.into(), subject.into());
        match self.writer.write(write).await? {
            Wrote::Forgotten(sessions) => Ok(sessions),
            _ => Err(StoreError::Corrupt("forget".into())),
        }
    }
}
