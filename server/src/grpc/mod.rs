//! The app core's edge: `borsellino.v1` over gRPC. Decodes, calls a use case, encodes; no rule lives here.

mod accounts;
mod deadline;
mod devices;
mod documents;
mod encode;
mod family;
mod feed;
mod payments;

use axum::Router;
use borsellino_domain::language::Language;
use borsellino_proto::DESCRIPTOR;
use borsellino_proto::reason::{Reason, Refused};
use borsellino_proto::v1;
use tonic::service::Routes;
use tonic::{Request, Status};

use crate::auth::token::Identity;
use crate::sentences;
use crate::usecases::sessions::identify;
use crate::usecases::{App, Fault};

/// No request of an app comes near this.
const MAX_REQUEST: usize = 64 << 10;

/// The gRPC routes, health and reflection among them, with deadlines enforced.
///
/// # Errors
/// Where the compiled descriptor can't be served.
pub async fn router(app: App) -> Result<Router, tonic_reflection::server::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<v1::payments_server::PaymentsServer<Service>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let service = Service(app);
    let routes = Routes::new(health)
        .add_service(reflection)
        .add_service(
            v1::onboarding_server::OnboardingServer::new(service.clone()).max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(v1::accounts_server::AccountsServer::new(service.clone()).max_decoding_message_size(MAX_REQUEST))
        .add_service(v1::devices_server::DevicesServer::new(service.clone()).max_decoding_message_size(MAX_REQUEST))
        .add_service(v1::family_server::FamilyServer::new(service.clone()).max_decoding_message_size(MAX_REQUEST))
        .add_service(v1::payments_server::PaymentsServer::new(service.clone()).max_decoding_message_size(MAX_REQUEST))
        .add_service(v1::documents_server::DocumentsServer::new(service.clone()).max_decoding_message_size(MAX_REQUEST))
        .add_service(v1::feed_server::FeedServer::new(service).max_decoding_message_size(MAX_REQUEST))
        .prepare();
    // Without this every unknown path of the port would be answered in gRPC.
    let router = routes.into_axum_router().reset_fallback();
    Ok(router.layer(axum::middleware::from_fn(deadline::enforce)))
}

/// Every service of the package, on the same use cases.
#[derive(Clone)]
struct Service(App);

/// The language the caller's sentences are to be in.
fn language<T>(request: &Request<T>) -> Language {
    let tag = request.metadata().get("accept-language").and_then(|value| value.to_str().ok());
    tag.map(Language::from_tag).unwrap_or_default()
}

fn refuse(refused: &Refused, language: Language) -> Status {
    refused.to_status(language.tag())
}

/// A refusal that needs no more than its reason.
fn plain(reason: Reason, language: Language) -> Status {
    refuse(&Refused::new(reason, sentences::of(reason, language)), language)
}

/// A field that is not of its form.
fn malformed(field: &str, language: Language) -> Status {
    let sentence = sentences::of(Reason::Malformed, language);
    refuse(&Refused { field: Some(field.to_owned()), ..Refused::new(Reason::Malformed, sentence) }, language)
}

/// A fault of ours: logged here with its cause, told without it.
fn fault(fault: &Fault, language: Language) -> Status {
    if fault.is_passing() {
        tracing::warn!(%fault, "a call could not be answered");
        plain(Reason::Unavailable, language)
    } else {
        tracing::error!(%fault, "a call failed");
        plain(Reason::Internal, language)
    }
}

/// Who is calling, from `authorization: Bearer ...`.
fn caller<T>(app: &App, request: &Request<T>) -> Result<Identity, Status> {
    let header = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    identify(app, token.trim()).map_err(|_| plain(Reason::TokenInvalid, language(request)))
}

fn parse<T: std::str::FromStr, R>(text: &str, field: &str, request: &Request<R>) -> Result<T, Status> {
    text.parse().map_err(|_| malformed(field, language(request)))
}
