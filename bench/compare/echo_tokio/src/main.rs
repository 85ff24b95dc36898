//! An echo server on tokio, for the comparison in `bench/limits`.
//!
//! usage: echo_tokio [BUFFER_BYTES]
//!
//! It is the echo server of tokio's own examples: a task per connection, with a buffer of its own.
//! The runtime has one thread, as all servers of the comparison. It prints its port and runs until
//! SIGTERM.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut stream: TcpStream, size: usize) -> std::io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let got = stream.read(&mut buffer).await?;
        if got == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..got]).await?;
    }
}

async fn serve(size: usize) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream, size));
        }
    }
}

fn main() -> std::io::Result<()> {
    let size = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(1024);
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(serve(size))
}
