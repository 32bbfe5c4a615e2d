#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| microslice_fuzz::icmp(octets));
