//! Plots as inline SVG: volume over time, the plane of collectors, a value beside what is usual.
//! In: numbers. Out: pictures that say in words what they show (`role="img"` with a label), whose colours the style sheet
//! sets. Bounds: [`POINTS_MAX`] points of a plane; curves have as many slots as they are made with.

use std::fmt::Write as _;

use super::markup::Markup;
use crate::report::album::Pair;
use crate::report::album::curve::Curve;
use crate::report::album::plane::Plane;
use crate::report::figures;

/// Points drawn of a plane.
const POINTS_MAX: usize = 2_000;
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 150.0;
/// Room below a curve for its axis.
const FOOT: f64 = 2.0;

/// The collector's volume over its population's. Each has its own scale: the question is whether their shapes agree.
pub(super) fn over_time(page: &mut Markup, pair: &Pair, number: usize) {
    let peak = |curve: &Curve| curve.bytes.iter().copied().max().unwrap_or(0);
    let slot = figures::length(pair.collector.slot);
    let [mine, all] =
        [&pair.collector, &pair.population].map(|curve| format!("{} in {slot}", figures::bytes(peak(curve))));
    let says = format!("Volume over time: the collector's peak is {mine}, its population's {all}.");
    page.raw(&format!("<figure>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"t{number}\">"));
    page.raw(&format!("<title id=\"t{number}\">"));
    page.text(&says);
    page.raw("</title>\n");
    let base = HEIGHT - FOOT;
    let mut area = format!("M0 {base:.1}");
    for (x, y) in steps(&pair.population, base) {
        let _ = write!(area, "L{x:.1} {y:.1}");
    }
    let _ = write!(area, "L{WIDTH:.1} {base:.1}Z");
    let line: Vec<String> = steps(&pair.collector, base).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    page.raw(&format!(
        "<path class=\"crowd\" d=\"{area}\"/>\n<polyline class=\"series\" points=\"{}\"/>\n",
        line.join(" ")
    ));
    page.raw(&format!("<path class=\"axis\" d=\"M0 {base:.1}H{WIDTH}\"/>\n"));
    let end = pair
        .collector
        .start
        .after(crate::units::DurationNs(pair.collector.slot.0.saturating_mul(pair.collector.bytes.len() as u64)));
    page.raw("</svg>\n<p class=\"ends\"><span>");
    page.text(&figures::plain_time(pair.collector.start));
    page.raw("</span><span>");
    page.text(&format!("{} UTC", figures::plain_time(end)));
    page.raw("</span></p>\n<figcaption><span class=\"key series\"></span>this collector, peak ");
    page.text(&mine);
    page.raw(" &nbsp; <span class=\"key crowd\"></span>the whole population, peak ");
    page.text(&all);
    page.raw(" (each on its own scale)</figcaption>\n</figure>\n");
}

/// Corners of a curve drawn as steps.
fn steps(curve: &Curve, base: f64) -> impl Iterator<Item = (f64, f64)> + '_ {
    let most = curve.bytes.iter().copied().max().unwrap_or(0).max(1) as f64;
    let width = WIDTH / curve.bytes.len().max(1) as f64;
    curve.bytes.iter().enumerate().flat_map(move |(i, n)| {
        let y = base - *n as f64 / most * (base - 6.0);
        [(i as f64 * width, y), ((i + 1) as f64 * width, y)]
    })
}

/// The plane with all findings marked.
pub(super) fn plane_section(page: &mut Markup, plane: &Plane) {
    page.raw("<section aria-labelledby=\"plane\">\n<h2 id=\"plane\">Collectors beside one another</h2>\n");
    let marked = plane.points.iter().filter(|point| point.finding.is_some()).count() as u64;
    let says = format!(
        "{} that several subscribers talk to, by how they behave; near means alike. {} in a finding. The two axes hold {} of \
         the differences; detectors look at all of them.",
        figures::counted(plane.points.len() as u64, "party").replace("partys", "parties"),
        if marked == 1 { "One is".to_owned() } else { format!("{marked} are") },
        figures::percent(plane.variance_share)
    );
    draw(page, plane, "plane-title", &says, |finding| finding.is_some());
    page.raw("</section>\n");
}

/// The plane with one finding marked.
pub(super) fn in_plane(page: &mut Markup, plane: &Plane, at: usize, number: usize) {
    let says = "Its place among all parties that several subscribers talk to: near means alike in behaviour.";
    draw(page, plane, &format!("p{number}"), says, |finding| finding == Some(at));
}

fn draw(page: &mut Markup, plane: &Plane, id: &str, says: &str, is_marked: impl Fn(Option<usize>) -> bool) {
    let bounds = |axis: usize| {
        let values = plane.points.iter().map(|point| point.at[axis]).filter(|v| v.is_finite());
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        if low < high { (low, high) } else { (low - 1.0, low + 1.0) }
    };
    let ((left, right), (low, high)) = (bounds(0), bounds(1));
    let x = |v: f64| 12.0 + (v - left) / (right - left) * (WIDTH - 24.0);
    let y = |v: f64| 12.0 + (high - v) / (high - low) * 216.0;
    page.raw(&format!(
        "<figure>\n<svg viewBox=\"0 0 {WIDTH} 240\" role=\"img\" aria-labelledby=\"{id}\"><title id=\"{id}\">"
    ));
    page.text(says);
    page.raw("</title>\n");
    let known = plane.points.iter().filter(|point| point.at.iter().all(|v| v.is_finite())).take(POINTS_MAX);
    let (marked, rest): (Vec<_>, Vec<_>) = known.partition(|point| is_marked(point.finding.map(|(at, _)| at)));
    for (points, class, radius) in [(rest, "dot", 3.0), (marked, "mark", 6.0)] {
        for point in points {
            page.raw(&format!(
                "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"/>",
                x(point.at[0]),
                y(point.at[1])
            ));
        }
        page.raw("\n");
    }
    page.raw("</svg>\n<figcaption>");
    page.text(says);
    page.raw("</figcaption>\n</figure>\n");
}

/// A value beside what is usual: the band reaches from the median to the 99th percentile.
pub(super) fn meter(page: &mut Markup, value: f64, median: f64, p99: f64) {
    let all = [value, median, p99];
    if all.iter().any(|v| !v.is_finite()) {
        return page.raw("<span>cannot be drawn</span>");
    }
    let (least, most) = all.iter().fold((0.0f64, 0.0f64), |(least, most), v| (least.min(*v), most.max(*v)));
    // Over orders of magnitude a straight scale shows nothing but the largest.
    let smallest = all.iter().copied().filter(|v| *v > 0.0).fold(f64::MAX, f64::min);
    let is_wide = least >= 0.0 && smallest < f64::MAX && most / smallest > 50.0;
    let place = |v: f64| {
        let share = match is_wide {
            true => (v.max(smallest) / smallest).ln() / (most / smallest).ln(),
            false => (v - least) / (most - least).max(f64::MIN_POSITIVE),
        };
        4.0 + share.clamp(0.0, 1.0) * 152.0
    };
    let (from, to) = (place(median.min(p99)), place(median.max(p99)));
    let says = format!(
        "measured {}, usual {}, one in a hundred above {}",
        figures::measured(value),
        figures::measured(median),
        figures::measured(p99)
    );
    page.raw("<svg viewBox=\"0 0 160 18\" role=\"img\" aria-label=\"");
    page.text(&says);
    let (width, median, value) = ((to - from).max(1.0), place(median), place(value));
    page.raw(&format!(
        "\"><path class=\"axis\" d=\"M4 9H156\"/><rect class=\"usual\" x=\"{from:.1}\" y=\"5\" width=\"{width:.1}\" \
         height=\"8\"/><path class=\"median\" d=\"M{median:.1} 3V15\"/><circle class=\"mark\" cx=\"{value:.1}\" cy=\"9\" \
         r=\"5\"/></svg>"
    ));
}
