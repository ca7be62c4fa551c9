//! A client's connection with an end to patience: one that does not say what it speaks, or takes nothing of what it is sent,
//! is closed. Heads and bodies have their own time-outs; what lies before the one and behind the other is here.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How a connection of HTTP/2 begins (RFC 9113, 3.4). Until something else comes it is not known which version it is.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The connection.
pub(crate) struct Patient {
    stream: TcpStream,
    /// While it is not known what the client speaks: how much of the preface has come, and until when.
    beginning: Option<(usize, Pin<Box<Sleep>>)>,
    /// While the client takes nothing: until when.
    stalled: Option<Pin<Box<Sleep>>>,
    /// How long it may take nothing.
    stall: Duration,
}

impl Patient {
    /// It says within `beginning` what it speaks, and takes something at least every `stall`.
    pub(crate) fn new(stream: TcpStream, beginning: Duration, stall: Duration) -> Self {
        Self { stream, beginning: Some((0, Box::pin(sleep(beginning)))), stalled: None, stall }
    }

    /// What came of a write: an error if it has waited for too long.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<Result<usize, Error>>,
    ) -> Poll<Result<usize, Error>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let stall = self.stall;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall)));
        stalled.as_mut().poll(cx).map(|()| Err(ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buf);
        let Some((known, sleep)) = &mut this.beginning else { return result };
        if result.is_pending() {
            return sleep.as_mut().poll(cx).map(|()| Err(ErrorKind::TimedOut.into()));
        }
        let came = &buf.filled()[before..];
        let expected = &PREFACE[*known..];
        if came.len() < expected.len() && !came.is_empty() && expected.starts_with(came) {
            *known += came.len();
        } else {
            this.beginning = None;
        }
        result
    }
}

impl AsyncWrite for Patient {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize, Error>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.written(cx, result)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
