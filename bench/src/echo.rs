//! The bare echo: one unary gRPC method over the same mutual TLS, and nothing else. The floor of a call.

use std::convert::Infallible;
use std::path::Path;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use strife_certs::authority::Network;
use strife_certs::identity::Identity;
use strife_certs::tls::Material;
use strife_seams::TcpPort;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

const PATH: &str = "/strife.bench.Echo/Echo";
/// About as long as a signed order.
const PAYLOAD_BYTES: usize = 300;

/// What goes there and back.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Echo {
    /// Whatever.
    #[prost(bytes = "bytes", tag = "1")]
    pub payload: bytes::Bytes,
}

#[derive(Clone)]
struct Service;

struct Answer;

impl UnaryService<Echo> for Answer {
    type Response = Echo;
    type Future = std::future::Ready<Result<Response<Echo>, Status>>;

    fn call(&mut self, request: Request<Echo>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

impl NamedService for Service {
    const NAME: &'static str = "strife.bench.Echo";
}

impl tower::Service<http::Request<Body>> for Service {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(
            async move { Ok(Grpc::new(ProstCodec::<Echo, Echo>::default()).unary(Answer, request).await) },
        )
    }
}

/// Serves until the process is killed, on one thread as the daemons do.
///
/// # Errors
/// The port or the certificate cannot be used.
pub(crate) fn serve(network: &Path, port: u16) -> anyhow::Result<()> {
    let network = Network::open(network)?;
    let files = network.files_of(&Identity::Gateway("echo".into()));
    let ca = network.ca_file();
    let material =
        Material { authority: &ca, certificate: &files.certificate, private_key: &files.private_key };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        let incoming = strife_daemon::accept::accept(
            Box::new(TcpPort::from(listener)),
            material.server()?,
            network.name(),
        );
        Server::builder().add_service(Service).serve_with_incoming(incoming).await?;
        Ok(())
    })
}

/// One echo.
///
/// # Errors
/// The echo does not answer.
pub(crate) async fn call(channel: Channel) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let echo = Echo { payload: bytes::Bytes::from_static(&[7; PAYLOAD_BYTES]) };
    let codec = ProstCodec::<Echo, Echo>::default();
    client.unary(Request::new(echo), PathAndQuery::from_static(PATH), codec).await.map(|_| ())
}
