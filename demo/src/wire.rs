//! A wire between two processes that can be cut: forwards bytes on loopback, each way by its own rule.

use std::io;
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

/// One wire, to one address. Ends with the runtime that it was made on.
#[derive(Debug)]
pub struct Wire {
    /// Where it listens.
    pub address: String,
    towards: watch::Sender<Way>,
    back: watch::Sender<Way>,
}

impl Wire {
    /// A wire to an address, with a port of the system's choice.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn to(address: &str) -> io::Result<Arc<Self>> {
        Self::between("127.0.0.1:0", address).await
    }

    /// A wire from one address to another.
    ///
    /// # Errors
    /// The first cannot be listened on.
    pub async fn between(listen: &str, address: &str) -> io::Result<Arc<Self>> {
        let listener = TcpListener::bind(listen).await?;
        let wire = Arc::new(Self {
            address: listener.local_addr()?.to_string(),
            towards: watch::Sender::new(Way::Open),
            back: watch::Sender::new(Way::Open),
        });
        tokio::spawn(serve(listener, address.to_owned(), wire.clone()));
        Ok(wire)
    }

    /// Changes both directions: towards the address, and back.
    pub fn set(&self, towards: Way, back: Way) {
        self.towards.send_replace(towards);
        self.back.send_replace(back);
    }

    /// Ends when either direction is cut, at once if one is.
    async fn is_cut(&self) {
        let (mut towards, mut back) = (self.towards.subscribe(), self.back.subscribe());
        // an error means that the wire itself is gone, which is as good as cut
        tokio::select! {
            _ = towards.wait_for(|way| *way == Way::Cut) => {}
            _ = back.wait_for(|way| *way == Way::Cut) => {}
        }
    }
}

async fn serve(listener: TcpListener, address: String, wire: Arc<Wire>) {
    loop {
        let Ok((near, _)) = listener.accept().await else {
            // out of file descriptors, perhaps for a moment
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (address, wire) = (address.clone(), wire.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = wire.is_cut() => {}
                () = connect(near, &address, &wire) => {}
            }
        });
    }
}

async fn connect(near: TcpStream, address: &str, wire: &Wire) {
    let Ok(far) = TcpStream::connect(address).await else { return };
    // only slower without
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    // a side that has said all may still be listening; a broken direction ends both
    let _ = tokio::try_join!(
        carry(near_in, far_out, wire.towards.subscribe()),
        carry(far_in, near_out, wire.back.subscribe()),
    );
}

/// A direction that can carry no more.
struct Broken;

/// Carries one direction until its end, which it passes on by dropping the half that it writes to.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut way: watch::Receiver<Way>,
) -> Result<(), Broken> {
    let mut buffer = vec![0; 16 * 1024];
    let mut has_lost = false;
    loop {
        let count = tokio::select! {
            changed = way.changed() => {
                if changed.is_err() || (has_lost && *way.borrow_and_update() == Way::Open) {
                    return Err(Broken);
                }
                continue;
            }
            read = from.read(&mut buffer) => read.map_err(|_| Broken)?,
        };
        // what was read before the way was held is held all the same
        let now = way.wait_for(|way| *way != Way::Held).await.map(|way| *way).map_err(|_| Broken)?;
        match now {
            Way::Open if has_lost => return Err(Broken),
            Way::Open if count == 0 => return Ok(()),
            Way::Open => to.write_all(&buffer[..count]).await.map_err(|_| Broken)?,
            Way::Lost if count > 0 => has_lost = true,
            Way::Lost | Way::Held | Way::Cut => return Err(Broken),
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
        let wire = Wire::to(&echo().await).await.unwrap();
        let mut stream = TcpStream::connect(&wire.address).await.unwrap();
        stream.write_u8(1).await.unwrap();
        assert_eq!(says(&mut stream, 5_000).await, Some(1));

        wire.set(Way::Held, Way::Open);
        stream.write_u8(2).await.unwrap();
        assert_eq!(says(&mut stream, 50).await, None, "held");
        wire.set(Way::Open, Way::Open);
        assert_eq!(says(&mut stream, 5_000).await, Some(2), "late");

        wire.set(Way::Open, Way::Lost);
        stream.write_u8(3).await.unwrap();
        assert_eq!(says(&mut stream, 50).await, None, "lost");
        wire.set(Way::Open, Way::Open);
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "broken by the gap");

        let mut stream = TcpStream::connect(&wire.address).await.unwrap();
        stream.write_u8(4).await.unwrap();
        assert_eq!(says(&mut stream, 5_000).await, Some(4), "a new connection");
        wire.set(Way::Cut, Way::Cut);
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0, "cut");
    }
    #[tokio::test]
    async fn a_side_that_has_said_all_still_hears_the_answer() {
        let wire = Wire::to(&echo().await).await.unwrap();
        let mut stream = TcpStream::connect(&wire.address).await.unwrap();
        stream.write_all(b"question").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"question");
    }
}
