//! One question, one answer: which path means what.

use super::{AdminState, dashboard, guard, show};
use crate::ground::suggest;
use crate::snapshot::view::{ReloadReport, ReloadRequest};
use crate::telemetry::exposition;
use crate::telemetry::process::{COMMIT, VERSION, resident_bytes};
use crate::telemetry::scrape::{Process, Scrape};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// Largest request body.
const BODY_LIMIT: usize = 64 << 10;
/// Until all of a request's body is there.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a reload may take before the asker is told to look later.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);

const TEXT: &str = "text/plain; charset=utf-8";
const PAGES: &str = "/ping /health /metrics /dashboard/ /api/version /api/routes /api/backends /api/plugins /api/problems \
     and POST /api/reload";

pub(super) type Reply = Response<Full<Bytes>>;

/// Answers one request. Reads at most [`BODY_LIMIT`] of its body.
pub(super) async fn answer<B>(state: AdminState, peer: SocketAddr, request: Request<B>) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    match tokio::time::timeout(BODY_PATIENCE, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(_ignored)) => {}
        Ok(Err(_too_much)) => {
            return text(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 KiB, or broken off");
        }
        Err(_elapsed) => return text(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
    }
    let path = head.uri.path();
    let allowed = if path == "/api/reload" { "POST" } else { "GET, HEAD" };
    match (&head.method, path) {
        (&Method::POST, "/api/reload") => {
            match guard::may_command(peer.ip(), &head.uri, &head.headers, state.token.as_ref()) {
                Ok(()) => reload(&state, head.uri.query()).await,
                Err(refusal) => refused(refusal),
            }
        }
        (&Method::GET | &Method::HEAD, path) if path != "/api/reload" => look(&state, path),
        _ => with(
            text(StatusCode::METHOD_NOT_ALLOWED, &format!("{path} takes {allowed} only")),
            ALLOW,
            HeaderValue::from_static(allowed),
        ),
    }
}

fn look(state: &AdminState, path: &str) -> Reply {
    match path {
        "/ping" => ping(state),
        "/health" => json(&show::health(state)),
        "/metrics" => reply(StatusCode::OK, exposition::CONTENT_TYPE, metrics(state)),
        "/api/version" => json(&show::version()),
        "/api/routes" => json(&show::routes(&state.snapshot.load(), &state.entrypoints)),
        "/api/backends" => json(&show::backends(&state.snapshot.load())),
        "/api/plugins" => json(&state.view.load().plugins),
        "/api/problems" => json(&show::problems(&state.view.load().problems)),
        "/api/vip" => text(StatusCode::NOT_FOUND, "no VIP is configured"),
        // Relative, so that it also works below a prefix of an Ingress.
        "/" | "/dashboard" => redirect("dashboard/"),
        "/dashboard/" => dashboard::page(),
        _ => text(StatusCode::NOT_FOUND, &format!("there is no such page; there are {PAGES}")),
    }
}

fn ping(state: &AdminState) -> Reply {
    match state.health.status(state.view.load().synced).reason {
        None => text(StatusCode::OK, "OK"),
        Some(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

fn metrics(state: &AdminState) -> String {
    Scrape {
        metrics: &state.metrics,
        snapshot: &state.snapshot.load(),
        view: &state.view.load(),
        entrypoints: &state.entrypoints,
        plugin_errors: &(state.plugin_errors)(),
        process: Process {
            version: VERSION,
            commit: COMMIT,
            uptime: state.health.uptime(),
            resident_bytes: resident_bytes(),
        },
    }
    .page()
}

async fn reload(state: &AdminState, query: Option<&str>) -> Reply {
    let dry_run = match dry_run(query.unwrap_or_default()) {
        Ok(dry_run) => dry_run,
        Err(problem) => return text(StatusCode::BAD_REQUEST, &problem),
    };
    let (sender, receiver) = tokio::sync::oneshot::channel::<ReloadReport>();
    let request = ReloadRequest {
        dry_run,
        reply: Box::new(move |report| {
            let _asker_is_gone = sender.send(report);
        }),
    };
    if !(state.reload)(request) {
        return text(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many reloads are waiting, or this process is ending",
        );
    }
    match tokio::time::timeout(RELOAD_PATIENCE, receiver).await {
        Ok(Ok(report)) => json(&report),
        Ok(Err(_dropped)) => text(StatusCode::SERVICE_UNAVAILABLE, "this process is ending"),
        Err(_elapsed) => {
            text(StatusCode::GATEWAY_TIMEOUT, "the reload takes long; look at /api/problems later")
        }
    }
}

fn dry_run(query: &str) -> Result<bool, String> {
    let mut dry_run = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, "true"));
        if key != "dry_run" {
            return Err(format!("unknown parameter '{key}': {}", suggest::hint(key, &["dry_run"])));
        }
        dry_run = match value {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return Err(format!("dry_run is true or false, not '{value}'")),
        };
    }
    Ok(dry_run)
}

fn refused(refusal: guard::Refusal) -> Reply {
    let reply = text(refusal.status(), &refusal.to_string());
    if refusal.status() == StatusCode::UNAUTHORIZED {
        with(reply, WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"moongate\""))
    } else {
        reply
    }
}

fn redirect(to: &'static str) -> Reply {
    with(text(StatusCode::FOUND, to), LOCATION, HeaderValue::from_static(to))
}

fn json(value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => reply(StatusCode::OK, "application/json", body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn text(status: StatusCode, body: &str) -> Reply {
    let end = if status == StatusCode::OK { "" } else { "\n" };
    reply(status, TEXT, format!("{body}{end}"))
}

pub(super) fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

pub(super) fn with(mut reply: Reply, name: HeaderName, value: HeaderValue) -> Reply {
    reply.headers_mut().insert(name, value);
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reload_parameter_is_checked() {
        for (query, want) in [
            ("", Ok(false)),
            ("dry_run=true", Ok(true)),
            ("dry_run", Ok(true)),
            ("dry_run=0&", Ok(false)),
            ("dry_run=yes", Err("dry_run is true or false, not 'yes'".to_owned())),
            ("dryrun=true", Err("unknown parameter 'dryrun': did you mean 'dry_run'?".to_owned())),
        ] {
            assert_eq!(dry_run(query), want, "{query}");
        }
    }
}
