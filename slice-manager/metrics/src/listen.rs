//! Where a daemon shows its metrics: at an address that was asked for, at the usual one if it is free, or nowhere.

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use tokio::net::TcpListener;

/// What was asked for on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// Nowhere.
    None,
    /// There.
    At(SocketAddr),
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAddress(String);

impl std::fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is no address; expected ADDRESS:PORT or `none`", self.0)
    }
}

impl std::error::Error for InvalidAddress {}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        match text {
            "none" => Ok(Self::None),
            text => text.parse().map(Self::At).map_err(|_| InvalidAddress(text.to_owned())),
        }
    }
}

/// Listens as it was asked for. What was asked for must be had; but where nothing was said, a daemon that finds the usual
/// address taken does its work all the same: there may be several on one machine.
pub async fn listen(asked: Option<Address>, usual: SocketAddr) -> io::Result<Option<TcpListener>> {
    let (address, is_asked) = match asked {
        Some(Address::None) => return Ok(None),
        Some(Address::At(address)) => (address, true),
        None => (usual, false),
    };
    match TcpListener::bind(address).await {
        Ok(listener) => {
            tracing::info!(metrics = %listener.local_addr()?, "shows metrics");
            Ok(Some(listener))
        }
        Err(error) if is_asked => Err(io::Error::new(error.kind(), format!("--metrics {address}: {error}"))),
        Err(error) => {
            tracing::warn!(metrics = %address, %error, "no metrics are shown; --metrics gives another address");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn metrics_are_where_they_were_asked_for_or_nowhere() {
        assert_eq!("none".parse(), Ok(Address::None));
        assert_eq!("[::1]:7481".parse(), Ok(Address::At("[::1]:7481".parse().unwrap())));
        let wrong = "7481".parse::<Address>().unwrap_err();
        assert_eq!(wrong.to_string(), "`7481` is no address; expected ADDRESS:PORT or `none`");
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let refused = listen(Some(Address::At(address)), address).await.unwrap_err().to_string();
        assert!(refused.starts_with(&format!("--metrics {address}: ")), "{refused}");
        assert!(listen(None, address).await.unwrap().is_none(), "the usual address is another's");
        assert!(listen(Some(Address::None), address).await.unwrap().is_none());
        let free = "127.0.0.1:0".parse().unwrap();
        assert!(listen(None, free).await.unwrap().is_some());
    }
}
