//! Packets that others made, for the tests.

/// The octets of a hexadecimal text; spaces are ignored.
pub(crate) fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// RFC 2865, section 7: every request with its answer, under the secret `xyzzy5461`.
pub(crate) const RFC_2865_SECRET: &[u8] = b"xyzzy5461";
/// RFC 2865, section 7.1: PAP, password `arctangent`.
pub(crate) const TELNET_REQUEST: &str = "01000038 0f403f9473978057bd83d5cb98f4227a 01066e656d6f
    02120dbe708d93d413ce3196e43f782a0aee 0406c0a80110 050600000003";
/// RFC 2865, section 7.1.
pub(crate) const TELNET_ACCEPT: &str = "02000026 86fe220e7624ba2a1005f6bf9b55e0b2 060600000001 0f0600000000
    0e06c0a80103";
/// RFC 2865, section 7.2: CHAP, the Request Authenticator as the challenge. The password is not given.
pub(crate) const FRAMED_REQUEST: &str = "01010047 2aee86f08d0d55969ca5978e0d3367a2 0108666c6f707379
    031316e97557c316185895f293ff63440772 75 0406c0a80110 050600000014 060600000002 070600000001";
/// RFC 2865, section 7.2.
pub(crate) const FRAMED_ACCEPT: &str = "02010038 15efbc7dab26cfa3dc34d9c03c8601a4 060600000002 070600000001
    0806fffffffe 0a0600000002 0d0600000001 0c06000005dc";
/// RFC 2865, section 7.3: PAP, password `challenge`.
pub(crate) const CARD_REQUEST: &str = "01020039 f3a47a1f6a6d76710b947ab93041a039 01076d6f707379
    02123365757377828 9b570885e15084825c5 0406c0a80110 050600000007";
/// RFC 2865, section 7.3.
pub(crate) const CARD_CHALLENGE: &str = "0b02004e 36f3c8764ae8c71157403c0c71ff9c45 12304368616c6c656e67652033
    323736393433302e2020456e74657220726573706f6e73652061742070726f6d70742e 180a3332373639343330";
/// RFC 2865, section 7.3: PAP, password `99101462`. The dump has 0x10 as the length of State, the list below it 10: the
/// attribute has 10 octets, and so it stands here.
pub(crate) const CARD_RESPONSE: &str = "01030043 b122556d428a13d0d6253807c457ecf0 01076d6f707379
    0212692c1f205fc081b919b95195f561a581 0406c0a80110 050600000007 180a3332373639343330";
/// RFC 2865, section 7.3.
pub(crate) const CARD_REJECT: &str = "03030014 a42f4fca45916c4e09c8340f9e746aa0";

/// The secret of what follows.
pub(crate) const TESTING_SECRET: &[u8] = b"testing123";
/// Made by radclient 3.2.1: PAP with a password of three blocks, Message-Authenticator last.
pub(crate) const RADCLIENT_PAP: &str = "0151008c2541723cd44714c5648f07353727225e010c6d657465722d3030343202328e168d029b
    529003c0461e5fe8b4fb73c2d19f3653f94278930de07a87878240b0116bb3eb08593feea01265336928f71f1330322d30302d30302d30302d
    30302d324108060a00002a200f6163636573732d73776974636850126685123ef79509f4da3a763f419afd5b";
/// The password in it.
pub(crate) const RADCLIENT_PAP_PASSWORD: &[u8] = b"a password of more than sixteen octets";
/// Made by radclient 3.2.1: CHAP, password `heart`, the Request Authenticator as the challenge.
pub(crate) const RADCLIENT_CHAP: &str = "01ed0057241aeb6d832a53e35aaa60ae25ed532b010b6d6f6e69746f722d37031352176b078c5b
    663981dffe6a8be8bf07171f1330322d30302d30302d30302d30302d30375012f0c4740a1e3429ff83b42879fe86b940";
/// Made by radclient 3.2.1: CHAP, password `heart`, with a CHAP-Challenge.
pub(crate) const RADCLIENT_CHAP_CHALLENGE: &str = "01d8006be7e8f21b5d19002cd8ae0ce22cc5b853010b6d6f6e69746f722d3703138
    20de551430a824cd56c2146845c1ae0ca3c14000102030405060708090a0b0c0d0e0f10111f1330322d30302d30302d30302d30302d30375012
    b7ee0ce2f0c2730632e129f1f794b480";
/// Made by radclient 3.2.1: accounting start.
pub(crate) const RADCLIENT_ACCOUNTING: &str =
    "0440002c208b49583b391dd9828d92b89dc176692806000000012c0630303031010c6d657465722d30303432";
/// Made by radclient 3.2.1: accounting start with a Message-Authenticator.
pub(crate) const RADCLIENT_ACCOUNTING_SIGNED: &str = "0443003e80056f47308b1b1804e6f3264903cb242806000000012c063030303
    1010c6d657465722d303034325012e3cd3f37a7deaf0c65e23b8a5899e845";
/// Made by radclient 3.2.1.
pub(crate) const RADCLIENT_STATUS: &str =
    "0ce900268c7e52f999484112fbff3c3f96bb6c8b50127b69eade759883b294b63716d58d37fb";
/// Made by radclient 3.2.1: a disconnect request with a Message-Authenticator.
pub(crate) const RADCLIENT_DISCONNECT: &str = "288000378c080e119a468b51f0383049e05d7ab3010b6d6f6e69746f722d372c0630303
    031501245d6c63248b8e4f674b58423c176c0d0";
/// Made by radclient 3.2.1: a change-of-authorisation request.
pub(crate) const RADCLIENT_COA: &str = "2bd3001f5c83d48af69e392408e62e6b3955ec09010b6d6f6e69746f722d37";
/// hostapd 2.10 answers eapol_test 2.10: the request, an EAP identity, Message-Authenticator last.
pub(crate) const HOSTAPD_REQUEST: &str = "010000825cede2e70c57508ee9dd945e644c1665010a6d64352d7573657204067f0000011f133
    0322d30302d30302d30302d30302d30310c06000005783d06000000130606000000024d18434f4e4e4543542031314d627073203830322e3131
    624f0f0262000d016d64352d757365725012ab1324636abcb7ba057239619dfac3b1";
/// Its answer, a challenge.
pub(crate) const HOSTAPD_CHALLENGE: &str = "0b00004429a5d0ee782f3296cedd023326cbf1361806000000014f180163001604106f015
    14853909c0f627542d35b464e4550129f6768d7b3fef886cc161237fd6eb6af";

/// Every packet above.
pub(crate) const ALL: [&str; 18] = [
    TELNET_REQUEST,
    TELNET_ACCEPT,
    FRAMED_REQUEST,
    FRAMED_ACCEPT,
    CARD_REQUEST,
    CARD_CHALLENGE,
    CARD_RESPONSE,
    CARD_REJECT,
    RADCLIENT_PAP,
    RADCLIENT_CHAP,
    RADCLIENT_CHAP_CHALLENGE,
    RADCLIENT_ACCOUNTING,
    RADCLIENT_ACCOUNTING_SIGNED,
    RADCLIENT_STATUS,
    RADCLIENT_DISCONNECT,
    RADCLIENT_COA,
    HOSTAPD_REQUEST,
    HOSTAPD_CHALLENGE,
];
