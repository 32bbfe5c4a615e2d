//! HTB: one discipline on a link, a class for the whole link, a class for each slice below it, and for each segment a
//! u32 filter that finds its VNI in the outer packet.
//!
//! u32 compares at fixed offsets: IPv4 and IPv6 headers without options, then UDP, then VXLAN. Packets of an underlay that
//! adds headers (SRv6 with an SRH) are not found, and not shaped. Numbers: linux/pkt_sched.h.

use std::io;

use model::Vni;
use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL, Nla, NlasIterator};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcFilterU32Option, TcHandle, TcMessage, TcOption, TcU32Key, TcU32Selector, TcU32SelectorFlags,
};

use super::link::{Links, index};
use super::socket::Kernel;
use super::{HANDLE, How};
use crate::device::{Cause, Found, Observed};
use crate::object::{Classifier, Key, Object, Shaper, ShaperRoot};
use crate::value::{ClassId, LinkName, ShapedRate};

pub(super) fn observe(kernel: &mut Kernel, links: &Links, observed: &mut Observed) -> io::Result<()> {
    for answer in kernel.dump(&RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default()))? {
        let RouteNetlinkMessage::NewQueueDiscipline(discipline) = answer else { continue };
        if discipline.header.handle != ROOT || !is_htb(&discipline) {
            continue;
        }
        let index = discipline.header.index;
        if let Some(link) = u32::try_from(index).ok().and_then(|index| links.name(index)) {
            let without = Found::Altered(format!("shaping of {link} without the class of the link"));
            observed.ours.insert(Key::ShaperRoot(link.clone()), without);
            observe_classes(kernel, link, index, observed)?;
            observe_classifiers(kernel, link, index, observed)?;
        }
    }
    Ok(())
}

fn observe_classes(kernel: &mut Kernel, link: &LinkName, index: i32, observed: &mut Observed) -> io::Result<()> {
    for answer in kernel.dump(&RouteNetlinkMessage::GetTrafficClass(TcMessage::with_index(index)))? {
        let RouteNetlinkMessage::NewTrafficClass(class) = answer else { continue };
        let handle = class.header.handle;
        if handle.major != HANDLE || !is_htb(&class) {
            continue;
        }
        let rates = rates(&class);
        if handle == LINK_CLASS {
            if let Some((rate, ceil)) = rates
                && rate == ceil
            {
                let root = Object::ShaperRoot(ShaperRoot { link: link.clone(), rate });
                observed.ours.insert(root.key(), Found::As(root));
            }
        } else if let Ok(id) = ClassId::new(handle.minor) {
            let key = Key::Shaper(link.clone(), id);
            let found = match rates {
                Some((rate, ceil)) if class.header.parent == LINK_CLASS => {
                    Found::As(Object::Shaper(Shaper { link: link.clone(), class: id, rate, ceil }))
                }
                _ => Found::Altered(format!("{key} that is not in the class of the link")),
            };
            observed.ours.insert(key, found);
        }
    }
    Ok(())
}

fn observe_classifiers(kernel: &mut Kernel, link: &LinkName, index: i32, observed: &mut Observed) -> io::Result<()> {
    for filter in filters(kernel, index)? {
        let (vni, ipv6, class) = (filter.vni, filter.ipv6, filter.class);
        let key = Key::Classifier(link.clone(), vni, ipv6);
        let found = match class {
            Some(class) => Found::As(Object::Classifier(Classifier { link: link.clone(), vni, ipv6, class })),
            None => Found::Altered(format!("{key} into no class of a slice")),
        };
        let seen = observed.ours.remove(&key).map(|seen| Found::Altered(format!("{seen}, and {found}")));
        observed.ours.insert(key, seen.unwrap_or(found));
    }
    Ok(())
}

pub(super) fn make_root(kernel: &mut Kernel, root: &ShaperRoot, how: How) -> Result<(), Cause> {
    let index = link_index(kernel, &root.link)?;
    if how == How::New {
        let mut message = message(index, ROOT, TcHandle::ROOT);
        // struct tc_htb_glob: version, rate2quantum, default class, debug, count. While there is no class for the rest,
        // packets that no classifier names are not shaped.
        let options: Vec<u8> =
            [3, 10, ClassId::REST.get().into(), 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
        message.attributes = htb(vec![DefaultNla::new(TCA_HTB_INIT, options)]);
        kernel.change(RouteNetlinkMessage::NewQueueDiscipline(message), NLM_F_CREATE | NLM_F_EXCL)?;
    }
    let mut class = message(index, LINK_CLASS, ROOT);
    class.attributes = class_options(root.rate, root.rate);
    Ok(kernel.change(RouteNetlinkMessage::NewTrafficClass(class), NLM_F_CREATE)?)
}

pub(super) fn make_class(kernel: &mut Kernel, shaper: &Shaper, how: How) -> Result<(), Cause> {
    let index = link_index(kernel, &shaper.link)?;
    let mut class = message(index, TcHandle { major: HANDLE, minor: shaper.class.get() }, LINK_CLASS);
    class.attributes = class_options(shaper.rate, shaper.ceil);
    let flags = if how == How::New { NLM_F_CREATE | NLM_F_EXCL } else { 0 };
    Ok(kernel.change(RouteNetlinkMessage::NewTrafficClass(class), flags)?)
}

pub(super) fn make_classifier(kernel: &mut Kernel, classifier: &Classifier) -> Result<(), Cause> {
    let index = link_index(kernel, &classifier.link)?;
    let mut filter = message(index, TcHandle::UNSPEC, ROOT);
    filter.header.info = info(classifier.ipv6);
    let mut selector = TcU32Selector::default();
    selector.flags = TcU32SelectorFlags::Terminal;
    selector.keys = keys(classifier.vni, classifier.ipv6);
    selector.nkeys = u8::try_from(selector.keys.len()).unwrap_or_default();
    let class = TcHandle { major: HANDLE, minor: classifier.class.get() };
    let options = [TcFilterU32Option::ClassId(class), TcFilterU32Option::Selector(selector)];
    filter.attributes =
        vec![TcAttribute::Kind(U32.into()), TcAttribute::Options(options.into_iter().map(TcOption::U32).collect())];
    Ok(kernel.change(RouteNetlinkMessage::NewTrafficFilter(filter), NLM_F_CREATE | NLM_F_EXCL)?)
}

pub(super) fn remove_root(kernel: &mut Kernel, link: &LinkName) -> Result<(), Cause> {
    let message = message(link_index(kernel, link)?, ROOT, TcHandle::ROOT);
    Ok(kernel.change(RouteNetlinkMessage::DelQueueDiscipline(message), 0)?)
}

pub(super) fn remove_class(kernel: &mut Kernel, link: &LinkName, class: ClassId) -> Result<(), Cause> {
    let index = link_index(kernel, link)?;
    let message = message(index, TcHandle { major: HANDLE, minor: class.get() }, TcHandle::UNSPEC);
    Ok(kernel.change(RouteNetlinkMessage::DelTrafficClass(message), 0)?)
}

/// Removes the classifiers of a segment; somebody may have added a second.
pub(super) fn remove_classifier(kernel: &mut Kernel, link: &LinkName, vni: Vni, ipv6: bool) -> Result<(), Cause> {
    let index = link_index(kernel, link)?;
    for filter in filters(kernel, index)?.into_iter().filter(|f| (f.vni, f.ipv6) == (vni, ipv6)) {
        let mut message = message(index, filter.handle, ROOT);
        message.header.info = info(ipv6);
        message.attributes = vec![TcAttribute::Kind(U32.into())];
        kernel.change(RouteNetlinkMessage::DelTrafficFilter(message), 0)?;
    }
    Ok(())
}

/// A filter under our discipline that picks a segment.
struct Filter {
    handle: TcHandle,
    vni: Vni,
    ipv6: bool,
    class: Option<ClassId>,
}

fn filters(kernel: &mut Kernel, index: i32) -> io::Result<Vec<Filter>> {
    let answer = kernel.dump(&RouteNetlinkMessage::GetTrafficFilter(message(index, TcHandle::UNSPEC, ROOT)))?;
    let filters = answer.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewTrafficFilter(filter) => read_filter(&filter),
        _ => None,
    });
    Ok(filters.collect())
}

fn read_filter(filter: &TcMessage) -> Option<Filter> {
    let options = filter.attributes.iter().filter_map(|a| if let TcAttribute::Options(o) = a { Some(o) } else { None });
    let (mut found, mut class) = (None, None);
    for option in options.flatten() {
        match option {
            TcOption::U32(TcFilterU32Option::Selector(selector)) => {
                let vni = Vni::try_from(selector.keys.last()?.val >> 8).ok()?;
                found =
                    [true, false].into_iter().find(|ipv6| keys(vni, *ipv6) == selector.keys).map(|ipv6| (vni, ipv6));
            }
            TcOption::U32(TcFilterU32Option::ClassId(handle)) if handle.major == HANDLE => {
                class = ClassId::new(handle.minor).ok();
            }
            _ => {}
        }
    }
    let (vni, ipv6) = found.filter(|(_, ipv6)| filter.header.info == info(*ipv6))?;
    Some(Filter { handle: filter.header.handle, vni, ipv6, class })
}

/// What is compared: an IP header without options, of a first fragment; UDP; the port of VXLAN; the VNI.
fn keys(vni: Vni, ipv6: bool) -> Vec<TcU32Key> {
    let key = |off, val, mask| {
        let mut key = TcU32Key::default();
        (key.off, key.val, key.mask) = (off, val, mask);
        key
    };
    let port = u32::from(VXLAN_PORT);
    let vni = vni.get() << 8;
    if ipv6 {
        vec![key(4, 17 << 8, 0xff00), key(40, port, 0xffff), key(52, vni, 0xffff_ff00)]
    } else {
        let header = [key(0, 0x0500_0000, 0x0f00_0000), key(4, 0, 0x1fff), key(8, 17 << 16, 0x00ff_0000)];
        header.into_iter().chain([key(20, port, 0xffff), key(32, vni, 0xffff_ff00)]).collect()
    }
}

/// Priority and protocol of a filter (`tcm_info`); filters of one priority are of one protocol.
fn info(ipv6: bool) -> u32 {
    let (priority, protocol) = if ipv6 { (PRIORITY_IPV6, ETHERTYPE_IPV6) } else { (PRIORITY_IPV4, ETHERTYPE_IPV4) };
    priority << 16 | u32::from(protocol.to_be())
}

fn class_options(rate: ShapedRate, ceil: ShapedRate) -> Vec<TcAttribute> {
    let [rate, ceil] = [rate, ceil].map(ShapedRate::octets_per_second);
    // struct tc_htb_opt: rate, ceil, their bursts in ticks, quantum, level, priority.
    let mut options = Vec::with_capacity(HTB_OPT_OCTETS);
    for rate in [rate, ceil] {
        // struct tc_ratespec: with a link layer named, no rate table is needed.
        options.extend([0, LINKLAYER_ETHERNET, 0, 0, 0, 0, 0, 0]);
        options.extend(u32::try_from(rate).unwrap_or(u32::MAX).to_ne_bytes());
    }
    let quantum = u32::try_from(rate / 10).unwrap_or(u32::MAX).clamp(QUANTUM_OCTETS_MIN, QUANTUM_OCTETS_MAX);
    options.extend([ticks(rate), ticks(ceil), quantum, 0, 0].into_iter().flat_map(u32::to_ne_bytes));
    let mut attributes = vec![DefaultNla::new(TCA_HTB_PARMS, options)];
    for (kind, rate) in [(TCA_HTB_RATE64, rate), (TCA_HTB_CEIL64, ceil)] {
        attributes.extend((rate > u64::from(u32::MAX)).then(|| DefaultNla::new(kind, rate.to_ne_bytes().to_vec())));
    }
    htb(attributes)
}

/// How long a burst takes, in the kernel's ticks of 64 ns: one frame, and what comes within a millisecond.
fn ticks(rate: u64) -> u32 {
    let octets = u128::from(BURST_OCTETS_MIN + rate / 1_000);
    u32::try_from(octets * 1_000_000_000 / u128::from(rate.max(1)) / TICK_NANOSECONDS).unwrap_or(u32::MAX)
}

/// Rate and ceiling of a class.
fn rates(class: &TcMessage) -> Option<(ShapedRate, ShapedRate)> {
    let options = class.attributes.iter().find_map(|a| match a {
        TcAttribute::Options(options) => {
            options.iter().find_map(|o| if let TcOption::Other(o) = o { Some(o) } else { None })
        }
        _ => None,
    })?;
    let mut octets = vec![0; options.value_len()];
    options.emit_value(&mut octets);
    let (mut rate, mut ceil) = (None, None);
    let (mut rate64, mut ceil64) = (None, None);
    for attribute in NlasIterator::new(octets.as_slice()) {
        let attribute = attribute.ok()?;
        let value = attribute.value();
        let word =
            |at: usize| value.get(at..at + 4)?.first_chunk().map(|octets| u64::from(u32::from_ne_bytes(*octets)));
        match attribute.kind() {
            TCA_HTB_PARMS => (rate, ceil) = (word(8), word(20)),
            TCA_HTB_RATE64 => rate64 = value.first_chunk().map(|octets| u64::from_ne_bytes(*octets)),
            TCA_HTB_CEIL64 => ceil64 = value.first_chunk().map(|octets| u64::from_ne_bytes(*octets)),
            _ => {}
        }
    }
    let rate = ShapedRate::from_octets_per_second(rate64.or(rate)?)?;
    Some((rate, ShapedRate::from_octets_per_second(ceil64.or(ceil)?)?))
}

fn htb(attributes: Vec<DefaultNla>) -> Vec<TcAttribute> {
    let options = attributes.into_iter().map(TcOption::Other).collect();
    vec![TcAttribute::Kind(HTB.into()), TcAttribute::Options(options)]
}

fn is_htb(message: &TcMessage) -> bool {
    message.attributes.iter().any(|a| matches!(a, TcAttribute::Kind(kind) if kind == HTB))
}

fn message(index: i32, handle: TcHandle, parent: TcHandle) -> TcMessage {
    let mut message = TcMessage::with_index(index);
    message.header.handle = handle;
    message.header.parent = parent;
    message
}

fn link_index(kernel: &mut Kernel, link: &LinkName) -> Result<i32, Cause> {
    let index = index(kernel, link)?;
    i32::try_from(index).map_err(|_| Cause::NoLink(link.clone()))
}

const HTB: &str = "htb";
const U32: &str = "u32";

/// Our discipline.
const ROOT: TcHandle = TcHandle { major: HANDLE, minor: 0 };

/// The class of the whole link. A class without a parent can't borrow.
const LINK_CLASS: TcHandle = TcHandle { major: HANDLE, minor: 1 };

const TCA_HTB_PARMS: u16 = 1;
const TCA_HTB_INIT: u16 = 2;
const TCA_HTB_RATE64: u16 = 6;
const TCA_HTB_CEIL64: u16 = 7;
const HTB_OPT_OCTETS: usize = 44;
const LINKLAYER_ETHERNET: u8 = 1;

const PRIORITY_IPV6: u32 = 1;
const PRIORITY_IPV4: u32 = 2;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86DD;

/// RFC 7348, section 5.
const VXLAN_PORT: u16 = 4789;

const TICK_NANOSECONDS: u128 = 64;
const BURST_OCTETS_MIN: u64 = 1_600;

/// What a class may send in its turn: a frame at least.
const QUANTUM_OCTETS_MIN: u32 = 1_600;
const QUANTUM_OCTETS_MAX: u32 = 60_000;
