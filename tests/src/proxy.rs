//! A wire between two processes that can be cut: forwards bytes on loopback, each way by its own rule.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What one direction of a wire does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Bytes pass.
    Open,
    /// Bytes wait, and arrive late.
    Held,
    /// Bytes are lost. What lost some is broken when the way opens again: TCP has no gaps.
    Lost,
    /// Connections end, and new ones are let in no more.
    Cut,
}

/// One wire, to one address. Ends with its test's runtime.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    towards: watch::Sender<Way>,
    back: watch::Sender<Way>,
}

impl Proxy {
    /// A wire to an address.
    pub async fn to(address: &str) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Arc::new(Self {
            address: listener.local_addr().unwrap().to_string(),
            towards: watch::Sender::new(Way::Open),
            back: watch::Sender::new(Way::Open),
        });
        tokio::spawn(serve(listener, address.to_owned(), proxy.clone()));
        proxy
    }

    /// Changes both directions: towards the address, and back.
    pub fn set(&self, towards: Way, back: Way) {
        self.towards.send_replace(towards);
        self.back.send_replace(back);
    }

    fn lets_in(&self) -> bool {
        *self.towards.borrow() != Way::Cut && *self.back.borrow() != Way::Cut
    }
}

async fn serve(listener: TcpListener, address: String, proxy: Arc<Proxy>) {
    loop {
        let Ok((near, _)) = listener.accept().await else {
            // out of file descriptors, perhaps for a moment
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if !proxy.lets_in() {
            continue;
        }
        tokio::spawn(connect(near, address.clone(), proxy.clone()));
    }
}

async fn connect(near: TcpStream, address: String, proxy: Arc<Proxy>) {
    let Ok(far) = TcpStream::connect(&address).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    // the end of one direction is the end of both
    tokio::select! {
        () = carry(near_in, far_out, proxy.towards.subscribe()) => {}
        () = carry(far_in, near_out, proxy.back.subscribe()) => {}
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 16 * 1024];
    let mut has_lost = false;
    loop {
        let count = tokio::select! {
            changed = way.changed() => {
                let cut = *way.borrow_and_update() == Way::Cut;
                if changed.is_err() || cut || (has_lost && *way.borrow() == Way::Open) {
                    return;
                }
                continue;
            }
            read = from.read(&mut buffer) => match read {
                Ok(count) if count > 0 => count,
                _ => return,
            },
        };
        // what was read before the way was held is held all the same
        let Ok(now) = way.wait_for(|way| *way != Way::Held).await.map(|way| *way) else { return };
        match now {
            Way::Open if !has_lost => {
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
            Way::Lost => has_lost = true,
            Way::Open | Way::Held | Way::Cut => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            }
        });
        address
    }

    async fn says(stream: &mut TcpStream, within_ms: u64) -> Option<u8> {
        let byte = tokio::time::timeout(Duration::from_millis(within_ms), stream.read_u8()).await;
        byte.ok().and_then(Result::ok)
    }

    #[tokio::test]
    async fn bytes_pass_wait_get_lost_and_connections_are_cut() {
        let proxy = Proxy::to(&echo().await).await;
        let mut stream = TcpStream::connect(&proxy.address).await.unwrap();
        stream.write_u8(1).await.unwrap();
        assert_eq!(says(&mut stream, 5_000).await, Some(1));

        proxy.set(Way::Held, Way::Open);
        stream.write_u8(2).await.unwrap();
        assert_eq!(says(&mut stream, 50).await, None, "held");
        proxy.set(Way::Open, Way::Open);
        assert_eq!(says(&mut stream, 5_000).await, Some(2), "late");

        proxy.set(Way::Open, Way::Lost);
        stream.write_u8(3).await.unwrap();
        assert_eq!(says(&mut stream, 50).await, None, "lost");
        proxy.set(Way::Open, Way::Open);
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "broken by the gap");

        let mut stream = TcpStream::connect(&proxy.address).await.unwrap();
        stream.write_u8(4).await.unwrap();
        assert_eq!(says(&mut stream, 5_000).await, Some(4), "a new connection");
        proxy.set(Way::Cut, Way::Cut);
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "cut");
    }
}
