//! Devices: where a guardian is signed in, and what is told by push.

use borsellino_domain::id::SessionId;
use borsellino_domain::language::Language;
use borsellino_proto::reason::Reason;
use borsellino_proto::v1;
use tonic::{Request, Response, Status};

use super::accounts::session_ended;
use super::{Service, caller, fault, language, malformed, parse, plain};
use crate::usecases::Stop;
use crate::usecases::devices::{self, DeviceRefusal, DeviceView, Platform, PushToken, Registration};
use crate::usecases::sessions::SessionRefusal;

fn stopped(stop: Stop<SessionRefusal>, language: Language) -> Status {
    match stop {
        Stop::Refused(refusal) => session_ended(refusal, language),
        Stop::Fault(error) => fault(&error, language),
    }
}

fn platform(wire: i32) -> Option<Platform> {
    match v1::Platform::try_from(wire) {
        Ok(v1::Platform::Android) => Some(Platform::Android),
        Ok(v1::Platform::Ios) => Some(Platform::Ios),
        Ok(v1::Platform::Unspecified) | Err(_) => None,
    }
}

fn device(view: DeviceView) -> v1::Device {
    v1::Device {
        session_id: view.session.to_string(),
        name: view.name,
        signed_in_at_ms: view.signed_in.get(),
        last_used_at_ms: view.last_used.get(),
        current: view.current,
        has_push: view.has_push,
    }
}

#[tonic::async_trait]
impl v1::devices_server::Devices for Service {
    async fn register_push(
        &self,
        request: Request<v1::RegisterPushRequest>,
    ) -> Result<Response<v1::RegisterPushResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let message = request.into_inner();
        let wish = Registration {
            token: PushToken::parse(&message.token).ok_or_else(|| malformed("token", language))?,
            platform: platform(message.platform).ok_or_else(|| malformed("platform", language))?,
            language: Language::from_tag(&message.language),
        };
        devices::register(&self.0, who, wish).await.map_err(|stop| stopped(stop, language))?;
        Ok(Response::new(v1::RegisterPushResponse { session_id: who.session.to_string() }))
    }

    async fn remove_push(
        &self,
        request: Request<v1::RemovePushRequest>,
    ) -> Result<Response<v1::RemovePushResponse>, Status> {
        let who = caller(&self.0, &request)?;
        devices::remove(&self.0, who).await.map_err(|stop| stopped(stop, language(&request)))?;
        Ok(Response::new(v1::RemovePushResponse {}))
    }

    async fn list_devices(
        &self,
        request: Request<v1::ListDevicesRequest>,
    ) -> Result<Response<v1::ListDevicesResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let devices = devices::list(&self.0, who).await.map_err(|stop| stopped(stop, language(&request)))?;
        Ok(Response::new(v1::ListDevicesResponse { devices: devices.into_iter().map(device).collect() }))
    }

    async fn revoke_device(
        &self,
        request: Request<v1::RevokeDeviceRequest>,
    ) -> Result<Response<v1::RevokeDeviceResponse>, Status> {
        let who = caller(&self.0, &request)?;
        let language = language(&request);
        let session: SessionId = parse(&request.get_ref().session_id, "session_id", &request)?;
        devices::revoke(&self.0, who, session).await.map_err(|stop| match stop {
            Stop::Refused(DeviceRefusal::Unknown) => plain(Reason::UnknownDevice, language),
            Stop::Refused(DeviceRefusal::Session(refusal)) => session_ended(refusal, language),
            Stop::Fault(error) => fault(&error, language),
        })?;
        Ok(Response::new(v1::RevokeDeviceResponse {}))
    }
}
