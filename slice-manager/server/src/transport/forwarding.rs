//! Routes of the underlay and classes of slices, in words that are the same for what is wanted and for what is found.

use api::v1;
use model::Rate;
use model::program::{ProgramContent, UnderlayRoute};

use super::numbers::neighbour;
use super::shares;
use crate::edges::Gathered;

/// What a node should have, by what it is called.
pub(super) fn wanted(content: &ProgramContent) -> impl Iterator<Item = (String, String)> {
    let routes = content.transit.routes.iter().map(|route| (format!("route {}", route.prefix), neighbour(&route.via)));
    // A kernel has no queues of ours, and its classes no weight.
    let is_kernel = content.queues.is_empty();
    let classes = content.shaping.iter().filter(move |_| is_kernel);
    let classes = classes.flat_map(|shaping| of_port(&shaping.into(), Some(content)));
    let shares = (!is_kernel).then(|| shares::wanted(content)).into_iter().flatten();
    routes.chain(classes).chain(shares)
}

/// What it has. A kernel knows classes by number; their slices are those of the program.
pub(super) fn found(found: &Gathered, content: Option<&ProgramContent>) -> impl Iterator<Item = (String, String)> {
    let routes = found.routes.iter().map(|route| {
        let neighbour = UnderlayRoute::try_from(route.clone()).map(|route| neighbour(&route.via));
        (format!("route {}", route.prefix), neighbour.unwrap_or_else(|error| format!("ill-formed: {error}")))
    });
    let classes = found.shaping.iter().flat_map(move |port| {
        let is_kernel = port.classes.iter().all(|class| class.weight.is_none());
        if is_kernel { of_port(port, content) } else { shares::found_port(port) }
    });
    routes.chain(classes).chain(found.shares.iter().map(shares::found))
}

fn of_port(shaping: &v1::PortShaping, content: Option<&ProgramContent>) -> Vec<(String, String)> {
    let port = &shaping.port;
    let whole = (format!("shaping of {port}"), rate(shaping.rate_bits_per_second));
    let classes = shaping.classes.iter().map(|class| {
        let mut known = content.into_iter().flat_map(|content| &content.shaping).flat_map(|shaping| &shaping.classes);
        let slice = known.find(|known| u32::from(known.number.get()) == class.number).map(|known| &known.slice);
        let what = match slice {
            Some(slice) => format!("class of {slice} on {port}"),
            None => format!("class {} on {port}", class.number),
        };
        let limits = class.limits.unwrap_or_default();
        let mut vnis = class.vnis.clone();
        vnis.sort_unstable();
        let vnis: Vec<_> = vnis.iter().map(ToString::to_string).collect();
        let (sure, most) = (rate(limits.guaranteed_bits_per_second), rate(limits.ceiling_bits_per_second));
        (what, format!("guaranteed {sure}, ceiling {most}, VNIs [{}]", vnis.join(", ")))
    });
    std::iter::once(whole).chain(classes).collect()
}

/// As HTB keeps it: in whole octets a second, and never none.
fn rate(bits: u64) -> String {
    Rate::from_bits_per_second((bits / 8).max(1) * 8).to_string()
}

#[cfg(test)]
mod tests {
    use model::program::{PortShaping, SliceClass};
    use model::{ClassNumber, RateLimits, Vni};

    use super::*;

    #[test]
    fn a_class_is_called_by_its_slice_and_compared_in_whole_octets() {
        let bits = Rate::from_bits_per_second;
        let class = SliceClass {
            number: ClassNumber::MIN,
            slice: "iot".parse().unwrap(),
            limits: RateLimits::new(Rate::ZERO, bits(1_000_007)).unwrap(),
            weight: model::Weight::MAX,
            vnis: vec![Vni::new(9).unwrap(), Vni::new(7).unwrap()],
        };
        let shaping = vec![PortShaping { port: "to-b".parse().unwrap(), rate: bits(8_000_000), classes: vec![class] }];
        let content = ProgramContent { shaping, ..ProgramContent::empty("core-1".parse().unwrap()) };
        let limits = v1::RateLimits { guaranteed_bits_per_second: 8, ceiling_bits_per_second: 1_000_000 };
        let class = |number| v1::SliceClass {
            number,
            slice: String::new(),
            limits: Some(limits),
            vnis: vec![7, 9],
            weight: None,
        };
        let port = "to-b".to_owned();
        let shaping =
            vec![v1::PortShaping { port, rate_bits_per_second: 8_000_000, classes: vec![class(3), class(4)] }];
        let route = v1::UnderlayRoute { prefix: "fd00::/16".into(), via: None };
        let gathered = Gathered { shaping, routes: vec![route], ..Gathered::default() };
        let wanted: Vec<_> = wanted(&content).collect();
        let found: Vec<_> = found(&gathered, Some(&content)).collect();
        let iot = "guaranteed 8 bit/s, ceiling 1 Mbit/s, VNIs [7, 9]".to_owned();
        assert_eq!(wanted[1], ("class of iot on to-b".to_owned(), iot.clone()));
        assert_eq!(found[0].1, "ill-formed: via: missing; expected a neighbour");
        assert_eq!(found[1..3], wanted);
        assert_eq!(found[3], ("class 4 on to-b".to_owned(), iot));
    }
}
