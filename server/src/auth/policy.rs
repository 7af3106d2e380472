//! Who may talk to an agent: its switch and auth mode, and the key's demand for identification. Pure. Asked when a token is made,
//! when it is refreshed, whenever something is said, and of everything that is open, every two seconds.

use crate::error::Fault;
use crate::store::{Agent, WidgetKey};
use karta_protocol::{AuthMode, ErrorCode};

/// What a subject has proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    Guest,
    User,
}

impl Standing {
    /// `u_…` is made by a checked proof only.
    pub fn of(subject: &str) -> Standing {
        if subject.starts_with("u_") {
            Standing::User
        } else {
            Standing::Guest
        }
    }
}

/// Whether the key lets such a caller talk to the agent. None: the agent is gone.
pub fn admit(key: &WidgetKey, agent: Option<&Agent>, standing: Standing) -> Result<(), Fault> {
    if !key.enabled {
        return Err(key_disabled());
    }
    let Some(agent) = agent.filter(|agent| agent.widget_enabled) else {
        return Err(agent_off());
    };
    match (standing, agent.auth_mode) {
        (Standing::Guest, _) if key.identification_required => Err(Fault::refused(
            ErrorCode::GuestNotAllowed,
            "This key lets identified users in only. Use the user-token flow (POST /auth/user-token, then Kataven.init({userToken})) or give data-user-id with data-user-hash; `karta-server keys identification KEY off` lets guests in.",
        )),
        (Standing::Guest, AuthMode::User) => Err(Fault::refused(
            ErrorCode::GuestNotAllowed,
            "The agent only allows authenticated users. Use the user-token flow (POST /auth/user-token, then Kataven.init({userToken})) or identify the user with an identity token; or set its auth_mode to both.",
        )),
        (Standing::User, AuthMode::Guest) => Err(Fault::refused(
            ErrorCode::UserNotAllowed,
            "The agent talks to guests only. Leave the user's identity out, or set its auth_mode to both.",
        )),
        (Standing::Guest, AuthMode::Guest | AuthMode::Both)
        | (Standing::User, AuthMode::User | AuthMode::Both) => Ok(()),
    }
}

/// The auth mode as the widget should know it: a key that demands identification lets no guest in, whatever the agent says.
pub fn effective_mode(key: &WidgetKey, agent: &Agent) -> AuthMode {
    if key.identification_required {
        AuthMode::User
    } else {
        agent.auth_mode
    }
}

pub fn agent_off() -> Fault {
    Fault::refused(
        ErrorCode::WidgetDisabledForAgent,
        "The agent's widget_enabled is false: its owner has switched the widget off. `karta-server agents update … --widget on` switches it on.",
    )
}

pub fn key_disabled() -> Fault {
    Fault::refused(
        ErrorCode::ClientKeyDisabled,
        "This widget key was disabled. Re-enable it (`karta-server keys enable`), or rotate to another key and put that into the page.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switch_auth_mode_and_the_keys_demand_decide_together() {
        use AuthMode::{Both, Guest, User};
        for (mode, required, guest, user) in [
            (Both, false, None, None),
            (Guest, false, None, Some(ErrorCode::UserNotAllowed)),
            (User, false, Some(ErrorCode::GuestNotAllowed), None),
            (Both, true, Some(ErrorCode::GuestNotAllowed), None),
            (User, true, Some(ErrorCode::GuestNotAllowed), None),
            (
                Guest,
                true,
                Some(ErrorCode::GuestNotAllowed),
                Some(ErrorCode::UserNotAllowed),
            ),
        ] {
            let key = WidgetKey {
                enabled: true,
                identification_required: required,
                ..WidgetKey::default()
            };
            let mut agent = Agent {
                widget_enabled: true,
                auth_mode: mode,
                ..Agent::default()
            };
            let code = |key: &WidgetKey, agent: Option<&Agent>, subject| {
                let verdict = admit(key, agent, Standing::of(subject));
                verdict.err().map(|fault| fault.code())
            };
            assert_eq!(code(&key, Some(&agent), "v_1"), guest, "{mode:?}");
            assert_eq!(code(&key, Some(&agent), "u_1"), user, "{mode:?}");
            agent.widget_enabled = false;
            let off = Some(ErrorCode::WidgetDisabledForAgent);
            assert_eq!(code(&key, Some(&agent), "u_1"), off);
            assert_eq!(code(&key, None, "v_1"), off);
            let key = WidgetKey {
                enabled: false,
                ..key
            };
            let off = Some(ErrorCode::ClientKeyDisabled);
            assert_eq!(code(&key, Some(&agent), "u_1"), off);
        }
    }
}
