//! The frames of a snapshot's file, and the digest over all of them.

use std::io::{self, BufReader, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};
use prost::Message;

use super::Unbelieved;

/// What is read and written at a time, in bytes.
pub(super) const BUFFER_BYTES: usize = 1 << 20;

/// Longest frame that is read, in bytes.
const FRAME_BYTES_MAX: u32 = 16 << 20;

/// What a file begins with.
const MAGIC: &[u8; 16] = b"strife-snapshot\0";

/// Writes frames.
pub(super) struct FrameWriter<W> {
    out: W,
    digest: Context,
}

impl<W: Write> FrameWriter<W> {
    pub fn begin(out: W) -> io::Result<Self> {
        let mut writer = Self { out, digest: Context::new(&SHA256) };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    pub fn message(&mut self, message: &impl Message) -> io::Result<()> {
        let bytes = message.encode_to_vec();
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other("a part of a snapshot is too long"))?;
        self.put(&length.to_be_bytes())?;
        self.put(&bytes)
    }

    /// Ends the file and returns its digest.
    pub fn finish(mut self) -> io::Result<[u8; 32]> {
        self.put(&0u32.to_be_bytes())?;
        let digest = finish(self.digest);
        self.out.write_all(&digest)?;
        Ok(digest)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Reads frames.
pub(super) struct FrameReader<R> {
    file: BufReader<R>,
    digest: Context,
}

impl<R: Read> FrameReader<R> {
    pub fn begin(file: R) -> Result<Self, Unbelieved> {
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        let mut reader = Self { file, digest: Context::new(&SHA256) };
        if reader.take::<16>()? != *MAGIC {
            return Err(Unbelieved::Damaged("it does not begin like a snapshot"));
        }
        Ok(reader)
    }

    /// The next message; `None` at the end of them.
    pub fn message<M: Message + Default>(&mut self) -> Result<Option<M>, Unbelieved> {
        let length = u32::from_be_bytes(self.take()?);
        if length == 0 {
            return Ok(None);
        }
        if length > FRAME_BYTES_MAX {
            return Err(Unbelieved::Damaged("a part is too long"));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        M::decode(bytes.as_slice()).map(Some).map_err(|_| Unbelieved::Damaged("a part is malformed"))
    }

    /// Checks the digest, which ends the file, and returns it.
    pub fn finish(mut self) -> Result<[u8; 32], Unbelieved> {
        let digest = finish(self.digest);
        let mut stored = Vec::new();
        self.file.by_ref().take(33).read_to_end(&mut stored)?;
        if stored != digest {
            return Err(Unbelieved::Damaged("its digest is not that of its bytes"));
        }
        Ok(digest)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Unbelieved> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Unbelieved> {
        self.file.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Unbelieved::Damaged("it ends too early"),
            _ => Unbelieved::Io(error),
        })?;
        self.digest.update(bytes);
        Ok(())
    }
}

fn finish(digest: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.finish().as_ref());
    bytes
}
