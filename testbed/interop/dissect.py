"""Reads a capture with Scapy, and writes one line for each frame of the core that carries something of a slice.

    dissect.py FILE FRAMES

A line is the frame's number, a kind, and fields, all separated by tabs; the tests make the same lines from what tshark
says, and compare.
"""

import sys

from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import EoMCW, MPLS
from scapy.contrib.stamp import STAMPSessionReflectorTestUnauthenticated as Reply
from scapy.contrib.stamp import STAMPSessionSenderTestUnauthenticated as Probe
from scapy.layers.inet import ICMP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6, IPv6ExtHdrSegmentRouting
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import bind_layers
from scapy.utils import PcapReader

# RFC 8986, section 10.1; RFC 7510, section 8.
bind_layers(IPv6ExtHdrSegmentRouting, Ether, nh=143)
bind_layers(IPv6, Ether, nh=143)
bind_layers(UDP, MPLS, dport=6635)


def labels(packet):
    """The entries of the outermost label stack."""
    entries = []
    entry = packet.getlayer(MPLS)
    while isinstance(entry, MPLS):
        entries.append(entry)
        entry = entry.payload
    return entries


def joined(values):
    return ",".join(str(value) for value in values)


def fields(packet):
    """What a frame carries; the outermost that is known."""
    if GTP_U_Header in packet:
        header, session = packet[GTP_U_Header], packet.getlayer(GTPPDUSessionContainer)
        return ["gtpu", header.teid, header.gtp_type, header.length, session.type, session.QFI]
    if Reply in packet:
        reply = packet[Reply]
        return ["reply", reply.seq, reply.seq_sender, reply.ttl_sender]
    if Probe in packet:
        return ["probe", packet[Probe].seq]
    if IPv6ExtHdrSegmentRouting in packet:
        outer, header = packet[IPv6], packet[IPv6ExtHdrSegmentRouting]
        ends = [outer.src, outer.dst, outer.tc, outer.fl, outer.hlim]
        return ["srv6", *ends, header.nh, header.segleft, header.lastentry, joined(header.addresses)]
    if MPLS in packet:
        stack = labels(packet)
        word = packet.getlayer(EoMCW)
        kind = "mpls-udp" if isinstance(stack[0].underlayer, UDP) else "mpls"
        numbers = [joined(getattr(entry, name) for entry in stack) for name in ("label", "cos", "s", "ttl")]
        return [kind, *numbers, "" if word is None else word.seq]
    if VXLAN in packet:
        outer, header = packet[IPv6], packet[VXLAN]
        ends = [outer.src, outer.dst, outer.tc, outer.fl, outer.hlim, header.underlayer.sport]
        return ["vxlan", *ends, header.gpid if header.flags.G else "", header.vni]
    if ICMPv6PacketTooBig in packet:
        return ["too-big", packet[ICMPv6PacketTooBig].mtu]
    if ICMPv6TimeExceeded in packet:
        return ["time-exceeded", packet[ICMPv6TimeExceeded].code]
    if ICMP in packet and packet[ICMP].type == 3 and packet[ICMP].code == 4:
        return ["too-big", packet[ICMP].nexthopmtu]
    if ICMP in packet and packet[ICMP].type == 11:
        return ["time-exceeded", packet[ICMP].code]
    if IPv6 in packet and packet[IPv6].nh == 143:
        outer = packet[IPv6]
        return ["srv6-one", outer.src, outer.dst, outer.tc, outer.fl, outer.hlim]
    return None


def main():
    file, most = sys.argv[1], int(sys.argv[2])
    for number, packet in zip(range(1, most + 1), PcapReader(file)):
        found = fields(packet)
        if found:
            print(number, *found, sep="\t")


main()
