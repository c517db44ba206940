// hyper for the comparison: one thread of tokio, the content lent to each response. Prints where it listens.
use hyper::service::{make_service_fn, service_fn};
use hyper::{header::CONTENT_TYPE, Body, Request, Response, Server};
use std::convert::Infallible;

async fn hello(_request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::builder().header(CONTENT_TYPE, "text/plain").body(Body::from("Hello, World!")).unwrap())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let make = make_service_fn(|_| async { Ok::<_, Infallible>(service_fn(hello)) });
    let server = Server::bind(&([127, 0, 0, 1], 0).into()).tcp_nodelay(true).serve(make);
    println!("http://{}/", server.local_addr());
    server.await.unwrap();
}
