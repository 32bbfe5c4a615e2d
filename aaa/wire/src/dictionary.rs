//! The attributes that are known by name: number, name, data type, and the document and section that define them.
//!
//! Those of RFC 2865, 2866, 2867, 2868, 2869, 3162, 3579, 4072, 4372, 4675, 4818, 4849, 5176, 5447, 5580, 6572 and 6911.
//! To be known here does not mean to be served: what a server does with an attribute is the server's to say.

use crate::attribute::Type;

/// The form of a value (RFC 8044, section 3; tagged ones RFC 2868, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// Four octets, a number.
    Integer,
    /// Eight octets, a number.
    Integer64,
    /// Four octets, seconds since 1970-01-01 00:00:00 UTC.
    Time,
    /// UTF-8 text.
    Text,
    /// Octets of any length.
    Octets,
    /// Sixteen octets.
    Digest,
    /// A CHAP identifier and the sixteen octets of the response (RFC 2865, section 5.3).
    ChapPassword,
    /// Four octets, an IPv4 address.
    Ipv4,
    /// Sixteen octets, an IPv6 address.
    Ipv6,
    /// Reserved octet, length, up to sixteen octets.
    Ipv6Prefix,
    /// Reserved octet, length, four octets.
    Ipv4Prefix,
    /// Eight octets, the lower half of an IPv6 address.
    InterfaceId,
    /// A tag and a number of three octets.
    TaggedInteger,
    /// A tag, if the first octet can be one, and a text.
    TaggedText,
    /// A vendor and its octets.
    VendorSpecific,
}

/// What is known of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub kind: Type,
    /// Its name, as the document spells it.
    pub name: &'static str,
    /// The form of its value.
    pub data: DataType,
    /// The document and the section that define it.
    pub source: &'static str,
}

/// What is known of a type.
pub fn lookup(kind: Type) -> Option<&'static Entry> {
    ENTRIES.binary_search_by_key(&kind, |entry| entry.kind).ok().and_then(|index| ENTRIES.get(index))
}

macro_rules! registry {
    ($($constant:ident = $number:literal, $name:literal, $data:ident, $source:literal;)*) => {
        impl Type {
            $(
                #[doc = concat!("`", $name, "` (", $source, ").")]
                pub const $constant: Self = Self($number);
            )*
        }

        /// Every attribute that is known, by number.
        pub const ENTRIES: &[Entry] = &[
            $(Entry { kind: Type::$constant, name: $name, data: DataType::$data, source: $source },)*
        ];
    };
}

registry! {
    USER_NAME = 1, "User-Name", Text, "RFC 2865, 5.1";
    USER_PASSWORD = 2, "User-Password", Octets, "RFC 2865, 5.2";
    CHAP_PASSWORD = 3, "CHAP-Password", ChapPassword, "RFC 2865, 5.3";
    NAS_IP_ADDRESS = 4, "NAS-IP-Address", Ipv4, "RFC 2865, 5.4";
    NAS_PORT = 5, "NAS-Port", Integer, "RFC 2865, 5.5";
    SERVICE_TYPE = 6, "Service-Type", Integer, "RFC 2865, 5.6";
    FRAMED_PROTOCOL = 7, "Framed-Protocol", Integer, "RFC 2865, 5.7";
    FRAMED_IP_ADDRESS = 8, "Framed-IP-Address", Ipv4, "RFC 2865, 5.8";
    FRAMED_IP_NETMASK = 9, "Framed-IP-Netmask", Ipv4, "RFC 2865, 5.9";
    FRAMED_ROUTING = 10, "Framed-Routing", Integer, "RFC 2865, 5.10";
    FILTER_ID = 11, "Filter-Id", Text, "RFC 2865, 5.11";
    FRAMED_MTU = 12, "Framed-MTU", Integer, "RFC 2865, 5.12";
    FRAMED_COMPRESSION = 13, "Framed-Compression", Integer, "RFC 2865, 5.13";
    LOGIN_IP_HOST = 14, "Login-IP-Host", Ipv4, "RFC 2865, 5.14";
    LOGIN_SERVICE = 15, "Login-Service", Integer, "RFC 2865, 5.15";
    LOGIN_TCP_PORT = 16, "Login-TCP-Port", Integer, "RFC 2865, 5.16";
    REPLY_MESSAGE = 18, "Reply-Message", Text, "RFC 2865, 5.18";
    CALLBACK_NUMBER = 19, "Callback-Number", Text, "RFC 2865, 5.19";
    CALLBACK_ID = 20, "Callback-Id", Text, "RFC 2865, 5.20";
    FRAMED_ROUTE = 22, "Framed-Route", Text, "RFC 2865, 5.22";
    FRAMED_IPX_NETWORK = 23, "Framed-IPX-Network", Integer, "RFC 2865, 5.23";
    STATE = 24, "State", Octets, "RFC 2865, 5.24";
    CLASS = 25, "Class", Octets, "RFC 2865, 5.25";
    VENDOR_SPECIFIC = 26, "Vendor-Specific", VendorSpecific, "RFC 2865, 5.26";
    SESSION_TIMEOUT = 27, "Session-Timeout", Integer, "RFC 2865, 5.27";
    IDLE_TIMEOUT = 28, "Idle-Timeout", Integer, "RFC 2865, 5.28";
    TERMINATION_ACTION = 29, "Termination-Action", Integer, "RFC 2865, 5.29";
    CALLED_STATION_ID = 30, "Called-Station-Id", Text, "RFC 2865, 5.30";
    CALLING_STATION_ID = 31, "Calling-Station-Id", Text, "RFC 2865, 5.31";
    NAS_IDENTIFIER = 32, "NAS-Identifier", Text, "RFC 2865, 5.32";
    PROXY_STATE = 33, "Proxy-State", Octets, "RFC 2865, 5.33";
    LOGIN_LAT_SERVICE = 34, "Login-LAT-Service", Octets, "RFC 2865, 5.34";
    LOGIN_LAT_NODE = 35, "Login-LAT-Node", Octets, "RFC 2865, 5.35";
    LOGIN_LAT_GROUP = 36, "Login-LAT-Group", Octets, "RFC 2865, 5.36";
    FRAMED_APPLETALK_LINK = 37, "Framed-AppleTalk-Link", Integer, "RFC 2865, 5.37";
    FRAMED_APPLETALK_NETWORK = 38, "Framed-AppleTalk-Network", Integer, "RFC 2865, 5.38";
    FRAMED_APPLETALK_ZONE = 39, "Framed-AppleTalk-Zone", Octets, "RFC 2865, 5.39";
    ACCT_STATUS_TYPE = 40, "Acct-Status-Type", Integer, "RFC 2866, 5.1";
    ACCT_DELAY_TIME = 41, "Acct-Delay-Time", Integer, "RFC 2866, 5.2";
    ACCT_INPUT_OCTETS = 42, "Acct-Input-Octets", Integer, "RFC 2866, 5.3";
    ACCT_OUTPUT_OCTETS = 43, "Acct-Output-Octets", Integer, "RFC 2866, 5.4";
    ACCT_SESSION_ID = 44, "Acct-Session-Id", Text, "RFC 2866, 5.5";
    ACCT_AUTHENTIC = 45, "Acct-Authentic", Integer, "RFC 2866, 5.6";
    ACCT_SESSION_TIME = 46, "Acct-Session-Time", Integer, "RFC 2866, 5.7";
    ACCT_INPUT_PACKETS = 47, "Acct-Input-Packets", Integer, "RFC 2866, 5.8";
    ACCT_OUTPUT_PACKETS = 48, "Acct-Output-Packets", Integer, "RFC 2866, 5.9";
    ACCT_TERMINATE_CAUSE = 49, "Acct-Terminate-Cause", Integer, "RFC 2866, 5.10";
    ACCT_MULTI_SESSION_ID = 50, "Acct-Multi-Session-Id", Text, "RFC 2866, 5.11";
    ACCT_LINK_COUNT = 51, "Acct-Link-Count", Integer, "RFC 2866, 5.12";
    ACCT_INPUT_GIGAWORDS = 52, "Acct-Input-Gigawords", Integer, "RFC 2869, 5.1";
    ACCT_OUTPUT_GIGAWORDS = 53, "Acct-Output-Gigawords", Integer, "RFC 2869, 5.2";
    EVENT_TIMESTAMP = 55, "Event-Timestamp", Time, "RFC 2869, 5.3";
    EGRESS_VLANID = 56, "Egress-VLANID", Integer, "RFC 4675, 2.1";
    INGRESS_FILTERS = 57, "Ingress-Filters", Integer, "RFC 4675, 2.2";
    EGRESS_VLAN_NAME = 58, "Egress-VLAN-Name", Octets, "RFC 4675, 2.3";
    USER_PRIORITY_TABLE = 59, "User-Priority-Table", Octets, "RFC 4675, 2.4";
    CHAP_CHALLENGE = 60, "CHAP-Challenge", Octets, "RFC 2865, 5.40";
    NAS_PORT_TYPE = 61, "NAS-Port-Type", Integer, "RFC 2865, 5.41";
    PORT_LIMIT = 62, "Port-Limit", Integer, "RFC 2865, 5.42";
    LOGIN_LAT_PORT = 63, "Login-LAT-Port", Octets, "RFC 2865, 5.43";
    TUNNEL_TYPE = 64, "Tunnel-Type", TaggedInteger, "RFC 2868, 3.1";
    TUNNEL_MEDIUM_TYPE = 65, "Tunnel-Medium-Type", TaggedInteger, "RFC 2868, 3.2";
    TUNNEL_CLIENT_ENDPOINT = 66, "Tunnel-Client-Endpoint", TaggedText, "RFC 2868, 3.3";
    TUNNEL_SERVER_ENDPOINT = 67, "Tunnel-Server-Endpoint", TaggedText, "RFC 2868, 3.4";
    ACCT_TUNNEL_CONNECTION = 68, "Acct-Tunnel-Connection", Text, "RFC 2867, 4.1";
    TUNNEL_PASSWORD = 69, "Tunnel-Password", Octets, "RFC 2868, 3.5";
    ARAP_PASSWORD = 70, "ARAP-Password", Digest, "RFC 2869, 5.4";
    ARAP_FEATURES = 71, "ARAP-Features", Octets, "RFC 2869, 5.5";
    ARAP_ZONE_ACCESS = 72, "ARAP-Zone-Access", Integer, "RFC 2869, 5.6";
    ARAP_SECURITY = 73, "ARAP-Security", Integer, "RFC 2869, 5.7";
    ARAP_SECURITY_DATA = 74, "ARAP-Security-Data", Octets, "RFC 2869, 5.8";
    PASSWORD_RETRY = 75, "Password-Retry", Integer, "RFC 2869, 5.9";
    PROMPT = 76, "Prompt", Integer, "RFC 2869, 5.10";
    CONNECT_INFO = 77, "Connect-Info", Text, "RFC 2869, 5.11";
    CONFIGURATION_TOKEN = 78, "Configuration-Token", Text, "RFC 2869, 5.12";
    EAP_MESSAGE = 79, "EAP-Message", Octets, "RFC 3579, 3.1";
    MESSAGE_AUTHENTICATOR = 80, "Message-Authenticator", Digest, "RFC 3579, 3.2";
    TUNNEL_PRIVATE_GROUP_ID = 81, "Tunnel-Private-Group-ID", TaggedText, "RFC 2868, 3.6";
    TUNNEL_ASSIGNMENT_ID = 82, "Tunnel-Assignment-ID", TaggedText, "RFC 2868, 3.7";
    TUNNEL_PREFERENCE = 83, "Tunnel-Preference", TaggedInteger, "RFC 2868, 3.8";
    ARAP_CHALLENGE_RESPONSE = 84, "ARAP-Challenge-Response", Octets, "RFC 2869, 5.15";
    ACCT_INTERIM_INTERVAL = 85, "Acct-Interim-Interval", Integer, "RFC 2869, 5.16";
    ACCT_TUNNEL_PACKETS_LOST = 86, "Acct-Tunnel-Packets-Lost", Integer, "RFC 2867, 4.2";
    NAS_PORT_ID = 87, "NAS-Port-Id", Text, "RFC 2869, 5.17";
    FRAMED_POOL = 88, "Framed-Pool", Text, "RFC 2869, 5.18";
    CHARGEABLE_USER_IDENTITY = 89, "Chargeable-User-Identity", Octets, "RFC 4372, 2.2";
    TUNNEL_CLIENT_AUTH_ID = 90, "Tunnel-Client-Auth-ID", TaggedText, "RFC 2868, 3.9";
    TUNNEL_SERVER_AUTH_ID = 91, "Tunnel-Server-Auth-ID", TaggedText, "RFC 2868, 3.10";
    NAS_FILTER_RULE = 92, "NAS-Filter-Rule", Text, "RFC 4849, 2";
    NAS_IPV6_ADDRESS = 95, "NAS-IPv6-Address", Ipv6, "RFC 3162, 2.1";
    FRAMED_INTERFACE_ID = 96, "Framed-Interface-Id", InterfaceId, "RFC 3162, 2.2";
    FRAMED_IPV6_PREFIX = 97, "Framed-IPv6-Prefix", Ipv6Prefix, "RFC 3162, 2.3";
    LOGIN_IPV6_HOST = 98, "Login-IPv6-Host", Ipv6, "RFC 3162, 2.4";
    FRAMED_IPV6_ROUTE = 99, "Framed-IPv6-Route", Text, "RFC 3162, 2.5";
    FRAMED_IPV6_POOL = 100, "Framed-IPv6-Pool", Text, "RFC 3162, 2.6";
    ERROR_CAUSE = 101, "Error-Cause", Integer, "RFC 5176, 3.5";
    EAP_KEY_NAME = 102, "EAP-Key-Name", Octets, "RFC 4072, 3.6";
    DELEGATED_IPV6_PREFIX = 123, "Delegated-IPv6-Prefix", Ipv6Prefix, "RFC 4818, 3";
    MIP6_FEATURE_VECTOR = 124, "MIP6-Feature-Vector", Integer64, "RFC 5447, 4.2.5";
    MIP6_HOME_LINK_PREFIX = 125, "MIP6-Home-Link-Prefix", Octets, "RFC 5447, 4.2.4";
    OPERATOR_NAME = 126, "Operator-Name", Text, "RFC 5580, 4.1";
    LOCATION_INFORMATION = 127, "Location-Information", Octets, "RFC 5580, 4.2";
    LOCATION_DATA = 128, "Location-Data", Octets, "RFC 5580, 4.3";
    BASIC_LOCATION_POLICY_RULES = 129, "Basic-Location-Policy-Rules", Octets, "RFC 5580, 4.4";
    EXTENDED_LOCATION_POLICY_RULES = 130, "Extended-Location-Policy-Rules", Octets, "RFC 5580, 4.5";
    LOCATION_CAPABLE = 131, "Location-Capable", Integer, "RFC 5580, 4.6";
    REQUESTED_LOCATION_INFO = 132, "Requested-Location-Info", Integer, "RFC 5580, 4.7";
    MOBILE_NODE_IDENTIFIER = 145, "Mobile-Node-Identifier", Octets, "RFC 6572, 4.1";
    SERVICE_SELECTION = 146, "Service-Selection", Text, "RFC 6572, 4.2";
    PMIP6_HOME_LMA_IPV6_ADDRESS = 147, "PMIP6-Home-LMA-IPv6-Address", Ipv6, "RFC 6572, 4.3";
    PMIP6_VISITED_LMA_IPV6_ADDRESS = 148, "PMIP6-Visited-LMA-IPv6-Address", Ipv6, "RFC 6572, 4.4";
    PMIP6_HOME_LMA_IPV4_ADDRESS = 149, "PMIP6-Home-LMA-IPv4-Address", Ipv4, "RFC 6572, 4.5";
    PMIP6_VISITED_LMA_IPV4_ADDRESS = 150, "PMIP6-Visited-LMA-IPv4-Address", Ipv4, "RFC 6572, 4.6";
    PMIP6_HOME_HN_PREFIX = 151, "PMIP6-Home-HN-Prefix", Ipv6Prefix, "RFC 6572, 4.7";
    PMIP6_VISITED_HN_PREFIX = 152, "PMIP6-Visited-HN-Prefix", Ipv6Prefix, "RFC 6572, 4.8";
    PMIP6_HOME_INTERFACE_ID = 153, "PMIP6-Home-Interface-ID", InterfaceId, "RFC 6572, 4.9";
    PMIP6_VISITED_INTERFACE_ID = 154, "PMIP6-Visited-Interface-ID", InterfaceId, "RFC 6572, 4.10";
    PMIP6_HOME_IPV4_HOA = 155, "PMIP6-Home-IPv4-HoA", Ipv4Prefix, "RFC 6572, 4.11";
    PMIP6_VISITED_IPV4_HOA = 156, "PMIP6-Visited-IPv4-HoA", Ipv4Prefix, "RFC 6572, 4.12";
    PMIP6_HOME_DHCP4_SERVER_ADDRESS = 157, "PMIP6-Home-DHCP4-Server-Address", Ipv4, "RFC 6572, 4.13";
    PMIP6_VISITED_DHCP4_SERVER_ADDRESS = 158, "PMIP6-Visited-DHCP4-Server-Address", Ipv4, "RFC 6572, 4.14";
    PMIP6_HOME_DHCP6_SERVER_ADDRESS = 159, "PMIP6-Home-DHCP6-Server-Address", Ipv6, "RFC 6572, 4.15";
    PMIP6_VISITED_DHCP6_SERVER_ADDRESS = 160, "PMIP6-Visited-DHCP6-Server-Address", Ipv6, "RFC 6572, 4.16";
    PMIP6_HOME_IPV4_GATEWAY = 161, "PMIP6-Home-IPv4-Gateway", Ipv4, "RFC 6572, 4.17";
    PMIP6_VISITED_IPV4_GATEWAY = 162, "PMIP6-Visited-IPv4-Gateway", Ipv4, "RFC 6572, 4.18";
    FRAMED_IPV6_ADDRESS = 168, "Framed-IPv6-Address", Ipv6, "RFC 6911, 3.1";
    DNS_SERVER_IPV6_ADDRESS = 169, "DNS-Server-IPv6-Address", Ipv6, "RFC 6911, 3.2";
    ROUTE_IPV6_INFORMATION = 170, "Route-IPv6-Information", Ipv6Prefix, "RFC 6911, 3.3";
    DELEGATED_IPV6_PREFIX_POOL = 171, "Delegated-IPv6-Prefix-Pool", Text, "RFC 6911, 3.4";
    STATEFUL_IPV6_ADDRESS_POOL = 172, "Stateful-IPv6-Address-Pool", Text, "RFC 6911, 3.5";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_so_that_the_search_finds_each() {
        assert!(ENTRIES.windows(2).all(|pair| pair[0].kind < pair[1].kind));
        for entry in ENTRIES {
            assert_eq!(lookup(entry.kind), Some(entry));
        }
        assert_eq!(lookup(Type(17)), None, "17 is unassigned (RFC 2865, section 5.17)");
        assert_eq!(Type(250).to_string(), "attribute 250");
    }
}
