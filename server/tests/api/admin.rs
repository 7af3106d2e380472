//! The admin API. Every answer that these tests get is held against the OpenAPI document.

use crate::schema;
use crate::server::{Call, Reply, Server};
use karta_server::auth::limit::Rates;
use karta_server::service::{ACCOUNT, admin_token};
use serde_json::Value;

mod access;
mod agents;
mod conversations;
mod knowledge;
mod malformed;
mod money;
mod samples;
mod widget_keys;
mod widget_settings;

pub const ADMIN: &str = "/api/v1";

/// A server and its owner, who has the admin token.
pub struct Owner {
    pub server: Server,
    pub token: String,
    document: Value,
}

impl Owner {
    pub async fn start() -> Owner {
        Owner::with_rates(Rates::off()).await
    }

    pub async fn with_rates(rates: Rates) -> Owner {
        let server = Server::with_rates(rates).await;
        let token = admin_token::ensure(server.store.as_ref(), &server.master, ACCOUNT)
            .await
            .expect("made")
            .expect("the first");
        let document = server.call(Call::new("GET", "/openapi.json")).await.json();
        Owner {
            server,
            token,
            document,
        }
    }

    /// With the admin token.
    pub fn request(&self, method: &str, path: &str) -> Call {
        Call::new(method, &format!("{ADMIN}{path}")).bearer(&self.token)
    }

    pub async fn call(&self, call: Call) -> Reply {
        let (method, path) = (call.0.method().to_string(), call.0.uri().path().to_owned());
        let reply = self.server.call(call).await;
        schema::check(
            &self.document,
            &method,
            &path,
            reply.status.as_u16(),
            &reply.body,
        );
        reply
    }

    /// Every admin call of the document, with this id.
    pub fn calls(&self, id: &str) -> Vec<(String, String)> {
        let paths = self.document["paths"].as_object().expect("paths");
        let public = format!("{}/", karta_protocol::API_BASE);
        let admin = paths
            .iter()
            .filter(|(path, _)| path.starts_with(ADMIN) && !path.starts_with(&public));
        admin
            .flat_map(|(path, methods)| {
                let path = path.replace("{id}", id).replace("{file_id}", "f_no");
                let methods = methods.as_object().expect("methods").keys();
                methods.map(move |method| (method.to_uppercase(), path.clone()))
            })
            .collect()
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call(self.request("GET", path)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.call(self.request("DELETE", path)).await
    }

    pub async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        self.call(self.request(method, path).json(&body)).await
    }

    /// A form of parts: name, file name or none, content.
    pub async fn form(
        &self,
        method: &str,
        path: &str,
        parts: &[(&str, Option<&str>, &[u8])],
    ) -> Reply {
        self.call(form(self.request(method, path), parts)).await
    }

    /// Made as asked: 201 and its body.
    pub async fn made(&self, path: &str, body: Value) -> Value {
        let reply = self.send("POST", path, body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()
    }

    pub async fn add_document(&self, file_name: &str, text: &str) -> Value {
        let parts = [("file", Some(file_name), text.as_bytes())];
        let reply = self.form("POST", "/knowledge", &parts).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()
    }
}

pub fn form(call: Call, parts: &[(&str, Option<&str>, &[u8])]) -> Call {
    let mut body = Vec::new();
    for (name, file_name, content) in parts {
        let file = file_name.map_or(String::new(), |file| format!("; filename=\"{file}\""));
        body.extend(
            format!("--frontier\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n")
                .bytes(),
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--frontier--\r\n");
    call.body("multipart/form-data; boundary=frontier", body)
}
