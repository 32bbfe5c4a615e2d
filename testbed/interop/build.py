"""Builds frames with Scapy as edge-c of the reference world would send them to edge-a, in the last link of their way.

    build.py FILE SERVICE TRANSPORT MAC DESTINATION

SERVICE is l2 or l3, DESTINATION the address of the device behind edge-a. The frames go into a capture; one line for each
says the number that its innermost datagram carries, whether the device must get it, and what is special about it. The
numbers are those of the tests' programs: loopbacks, SIDs, labels, VNI.
"""

import struct
import sys

from scapy.contrib.mpls import EoMCW, MPLS
from scapy.contrib.stamp import STAMPSessionSenderTestUnauthenticated as Probe
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrSegmentRouting,
    IPv6ExtHdrSegmentRoutingTLV,
    IPv6ExtHdrSegmentRoutingTLVPadN,
)
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import bind_layers
from scapy.utils import wrpcap

bind_layers(IPv6ExtHdrSegmentRouting, Ether, nh=143)
bind_layers(IPv6, Ether, nh=143)

EDGE_A, EDGE_C = "fd00:0:a::1", "fd00:0:c::1"
ROUTER = "02:cc:00:00:00:01"
DEVICE_A, DEVICE_C = "02:00:00:00:77:01", "02:00:00:00:77:03"
GATEWAY = "02:4d:53:00:00:01"
PORT = 7777
LABEL, GROUPS, VNI = 300001, 65536, 7701


class Frames:
    def __init__(self, service, mac, destination):
        self.is_l3, self.mac, self.destination = service == "l3", mac, destination
        self.frames = []

    def inner(self):
        """The next datagram: a packet of a layer-3 slice, else a frame."""
        is_ipv4 = "." in self.destination
        source = {"10.77.0.11": "10.77.0.13", "10.71.0.11": "10.73.0.11", "fd77::11": "fd77::13", "fd01::11": "fd03::11"}
        network = IP if is_ipv4 else IPv6
        number = struct.pack("!Q", len(self.frames))
        packet = network(src=source[self.destination], dst=self.destination) / UDP(sport=PORT, dport=PORT) / number
        return packet if self.is_l3 else Ether(src=DEVICE_C, dst=DEVICE_A) / packet

    def framed(self):
        """The same as a frame: between gateways, in a layer-3 slice."""
        return Ether(src=GATEWAY, dst=GATEWAY) / self.inner() if self.is_l3 else self.inner()

    def add(self, is_delivered, packet, what):
        print(len(self.frames), int(is_delivered), what, sep="\t")
        self.frames.append(Ether(src=ROUTER, dst=self.mac) / packet)

    def next_header(self):
        if not self.is_l3:
            return 143
        return 4 if "." in self.destination else 41

    def srv6(self, service_sid):
        sid = lambda group: service_sid if group == 0 else service_sid + format(group, "x")
        header = lambda group, **more: IPv6(src=EDGE_C, dst=sid(group), hlim=62, tc=0x28, fl=0x12345, **more)
        self.add(True, header(0, nh=self.next_header()) / self.inner(), "one segment, no SRH")
        self.add(False, header(7, nh=self.next_header()) / self.inner(), "one segment, a group that nobody has")
        self.add(False, header(1, nh=self.next_header()) / self.inner(), "one segment, from a leaf to a leaf")
        full = [sid(0), "fc00:1:0:a::", "fc00:2:0:1::"]
        for addresses, last, what in ((full, 2, "full list"), (full[:2], 1, "reduced list")):
            srh = IPv6ExtHdrSegmentRouting(nh=self.next_header(), addresses=addresses, segleft=0, lastentry=last)
            self.add(True, header(0) / srh / self.inner(), what)
        for tlv, what in (
            (IPv6ExtHdrSegmentRoutingTLVPadN(len=6, padding=bytes(6)), "PadN"),
            (IPv6ExtHdrSegmentRoutingTLV(type=5, len=38, value=bytes([0, 0, 0, 0, 0, 7]) + bytes(32)), "HMAC"),
        ):
            octets = 16 * len(full) + len(bytes(tlv))
            srh = IPv6ExtHdrSegmentRouting(
                nh=self.next_header(), addresses=full, segleft=0, lastentry=2, len=octets // 8, tlv_objects=[tlv]
            )
            self.add(True, header(0) / srh / self.inner(), "a TLV: " + what)
        srh = IPv6ExtHdrSegmentRouting(nh=self.next_header(), addresses=full, segleft=1, lastentry=2)
        self.add(False, header(0) / srh / self.inner(), "a segment left")
        srh = IPv6ExtHdrSegmentRouting(nh=17, addresses=full, segleft=0, lastentry=2)
        self.add(False, header(0) / srh / self.inner(), "another protocol than it says")
        wrong = IPv6(src="fd00:0:b::1", dst=sid(0), nh=self.next_header())
        self.add(False, wrong / self.inner(), "from no edge of the segment")

    def stack(self, group, bottom=True):
        """Labels of the service; a pseudowire has a flow label and a control word."""
        labels = MPLS(label=LABEL, cos=3, s=0, ttl=62) / MPLS(label=GROUPS + group, cos=3, s=int(self.is_l3), ttl=1)
        if self.is_l3:
            return labels / self.inner()
        return labels / MPLS(label=0xABCDE, cos=3, s=1, ttl=1) / EoMCW(zero=0, reserved=0, seq=0) / self.inner()

    def mpls(self, wrap):
        self.add(True, wrap(self.stack(0)), "labels")
        self.add(False, wrap(self.stack(9)), "a group that nobody has")
        self.add(False, wrap(self.stack(1)), "from a leaf to a leaf")
        self.add(False, wrap(MPLS(label=LABEL, s=1, ttl=62) / self.inner()), "no group")
        self.add(False, wrap(MPLS(label=299999, s=1, ttl=62) / self.inner()), "a label of nobody")
        self.add(False, wrap(MPLS(label=5, s=1, ttl=62) / self.inner()), "a reserved label")

    def vxlan(self):
        def wrap(vxlan, source=EDGE_C, **udp):
            return IPv6(src=source, dst=EDGE_A, hlim=62, tc=0x28) / UDP(sport=50000, dport=4789, **udp) / vxlan

        policy = lambda group: VXLAN(flags=0x88, gpid=group, vni=VNI) / self.framed()
        self.add(True, wrap(policy(0)), "group policy")
        self.add(False, wrap(policy(9)), "a group that nobody has")
        self.add(False, wrap(policy(1)), "from a leaf to a leaf")
        self.add(True, wrap(VXLAN(flags=0x08, vni=VNI) / self.framed()), "no group policy")
        self.add(True, wrap(policy(0), chksum=0), "no UDP checksum")
        self.add(False, wrap(policy(0), chksum=0x1234), "a wrong UDP checksum")
        self.add(False, wrap(VXLAN(flags=0x80, gpid=0, vni=VNI) / self.framed()), "no VNI flag")
        self.add(False, wrap(VXLAN(flags=0x88, gpid=0, vni=VNI + 1) / self.framed()), "the VNI of nobody")
        self.add(False, wrap(policy(0), source="fd00:0:b::1"), "from no edge of the segment")

    def probe(self):
        probe = Probe(seq=4242, ts=1.5, ssid=1)
        self.add(False, IPv6(src=EDGE_C, dst=EDGE_A, hlim=253) / UDP(sport=50862, dport=862) / probe, "a probe")


def main():
    file, service, transport, mac, destination, sid = sys.argv[1:]
    frames = Frames(service, mac, destination)
    if transport == "srv6":
        frames.srv6(sid)
    elif transport == "mpls":
        frames.mpls(lambda stack: stack)
    elif transport == "mpls-udp":
        frames.mpls(lambda stack: IPv6(src=EDGE_C, dst=EDGE_A, hlim=62) / UDP(sport=50000, dport=6635) / stack)
    else:
        frames.vxlan()
    frames.probe()
    wrpcap(file, frames.frames)


main()
