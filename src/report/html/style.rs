//! Style: how the page looks, in light and in dark, wide, narrow and printed.
//! In: nothing. Out: a style sheet. Every pair of letters and ground has a contrast of at least 4.5 (WCAG 2.2, AA), which a
//! test computes from the colours below.

use std::fmt::Write as _;

/// The colours of one scheme, as `#rrggbb`.
pub(super) struct Scheme {
    /// Name and colour of everything.
    colours: &'static [(&'static str, &'static str)],
}

const LIGHT: Scheme = Scheme {
    colours: &[
        ("ground", "#ffffff"),
        ("card", "#f6f7f9"),
        ("ink", "#1a1d21"),
        ("quiet", "#545b64"),
        ("rule", "#c9ced6"),
        ("link", "#0b57a4"),
        ("series", "#b3261e"),
        ("crowd", "#5d7ea3"),
        ("crowd-fill", "#c3d3e6"),
        ("critical", "#8c1d18"),
        ("high", "#a8321f"),
        ("medium", "#7a5200"),
        ("low", "#0b5a70"),
        ("info", "#545b64"),
        ("badge-ink", "#ffffff"),
    ],
};

const DARK: Scheme = Scheme {
    colours: &[
        ("ground", "#14171b"),
        ("card", "#1d2126"),
        ("ink", "#e8eaed"),
        ("quiet", "#a9b1bb"),
        ("rule", "#3d444d"),
        ("link", "#8ab8f0"),
        ("series", "#ff8a7a"),
        ("crowd", "#7f9dc0"),
        ("crowd-fill", "#2c3d52"),
        ("critical", "#ff9c93"),
        ("high", "#ffab8f"),
        ("medium", "#f0c060"),
        ("low", "#7fd0e6"),
        ("info", "#a9b1bb"),
        ("badge-ink", "#14171b"),
    ],
};

/// The whole sheet.
pub(super) fn sheet() -> String {
    let mut sheet = String::new();
    let _ = writeln!(sheet, ":root{{color-scheme:light dark;{}}}", variables(&LIGHT));
    let _ = writeln!(sheet, "@media (prefers-color-scheme:dark){{:root{{{}}}}}", variables(&DARK));
    sheet.push_str(RULES);
    let _ = writeln!(sheet, "@media print{{:root{{{}}}\n{PRINT}}}", variables(&LIGHT));
    sheet
}

fn variables(scheme: &Scheme) -> String {
    scheme.colours.iter().map(|(name, colour)| format!("--{name}:{colour};")).collect()
}

const RULES: &str = r#"*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
overflow-wrap:anywhere}
header,main,footer{max-width:62rem;margin:0 auto;padding:1rem}
h1{font-size:1.8rem;line-height:1.2;margin:.2rem 0}
h2{font-size:1.25rem;margin:2rem 0 .6rem;border-bottom:1px solid var(--rule);padding-bottom:.2rem}
h3{font-size:1.1rem;line-height:1.35;margin:.4rem 0}
h4{font-size:.95rem;margin:1.1rem 0 .3rem}
p{margin:.4rem 0}
a{color:var(--link)}
.subject,.quiet,footer{color:var(--quiet)}
.tlp{font:600 .85rem ui-monospace,Menlo,Consolas,monospace;border:1px solid var(--ink);display:inline-block;padding:.05rem .5rem;margin:0}
.lead{font-size:1.25rem;font-weight:600}
.tally{list-style:none;display:flex;flex-wrap:wrap;gap:.4rem 1.2rem;padding:0;margin:.5rem 0}
.tally b{font-size:1.2rem}
.critical,.high{color:var(--high)}.critical{color:var(--critical)}
.medium{color:var(--medium)}.low{color:var(--low)}.info{color:var(--info)}
.badge{display:inline-block;white-space:nowrap;font-weight:700;font-size:.8rem;letter-spacing:.04em;text-transform:uppercase;
color:var(--badge-ink);padding:.1rem .5rem;border-radius:.2rem;border:1px solid currentColor}
.badge.critical{background:var(--critical)}.badge.high{background:var(--high)}
.badge.medium{background:var(--medium)}.badge.low{background:var(--low)}.badge.info{background:var(--info)}
span.badge{color:var(--badge-ink)}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--rule)}
th{font-weight:600;color:var(--quiet);font-size:.85rem;overflow-wrap:normal}
td.number{font-variant-numeric:tabular-nums;white-space:nowrap}
article{background:var(--card);border:1px solid var(--rule);border-radius:.4rem;padding:.8rem 1rem;margin:1rem 0}
dl{display:grid;grid-template-columns:9rem 1fr;gap:.15rem .8rem;margin:.6rem 0}
dt{color:var(--quiet)}dd{margin:0}
ol,ul{padding-left:1.3rem;margin:.3rem 0}
code{font:.9em ui-monospace,Menlo,Consolas,monospace}
figure{margin:.6rem 0}
figcaption{color:var(--quiet);font-size:.875rem}
svg{display:block;width:100%;height:auto}
.ends{display:flex;justify-content:space-between;color:var(--quiet);font-size:.8rem;margin:.1rem 0}
.axis{stroke:var(--rule);stroke-width:1;fill:none}
.crowd{fill:var(--crowd-fill);stroke:var(--crowd);stroke-width:1}
.series{fill:none;stroke:var(--series);stroke-width:1.8;stroke-linejoin:round}
.dot{fill:var(--crowd);opacity:.75}
.mark{fill:var(--series);stroke:var(--ground);stroke-width:1}
.usual{fill:var(--crowd-fill);stroke:var(--crowd);stroke-width:1}
.median{stroke:var(--crowd);stroke-width:2}
.meter{min-width:9rem}
.key{display:inline-block;width:.9rem;height:.6rem;margin-right:.3rem;vertical-align:baseline}
.key.series{background:var(--series)}.key.crowd{background:var(--crowd)}
@media (max-width:40rem){
header,main,footer{padding:.7rem}
h1{font-size:1.45rem}
article{padding:.6rem .7rem}
dl{grid-template-columns:1fr;gap:0}dt{margin-top:.35rem}
table.overview thead,table.evidence thead{position:absolute;left:-999rem}
table.overview tr,table.evidence tr{display:block;border-bottom:1px solid var(--rule);padding:.35rem 0}
table.overview td,table.evidence td,table.evidence th{display:flex;justify-content:space-between;gap:1rem;
border:0;padding:.08rem 0;white-space:normal;text-align:right}
table.overview td::before,table.evidence td::before{content:attr(data-label);color:var(--quiet);text-align:left;flex:none}
table.evidence th{color:var(--ink);text-align:left}
.dot{r:6px}.mark{r:11px}.meter .mark{r:5px}
.meter{min-width:0}.meter svg{max-width:10rem}
}
"#;

const PRINT: &str = "body{font-size:10.5pt}a{color:inherit;text-decoration:none}article{border-color:#999;\
background:none}h2,h3,h4{break-after:avoid}figure,table.evidence tr,table.overview tr{break-inside:avoid}\
span.badge,.badge.critical,.badge.high,.badge.medium,.badge.low,.badge.info{background:none;color:#000;border-color:#000}\
header,main,footer{max-width:none;padding:0}@page{margin:16mm}";

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("hexadecimal")) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn letters_can_be_read() {
        assert!((contrast("#ffffff", "#000000") - 21.0).abs() < 1e-9);
        for (name, scheme) in [("light", &LIGHT), ("dark", &DARK)] {
            let of = |wanted: &str| {
                scheme.colours.iter().find(|(known, _)| *known == wanted).unwrap_or_else(|| panic!("{wanted}")).1
            };
            for letters in ["ink", "quiet", "link", "critical", "high", "medium", "low", "info"] {
                for ground in ["ground", "card"] {
                    let found = contrast(of(letters), of(ground));
                    assert!(found >= 4.5, "{name}: {letters} on {ground}: {found:.2}");
                }
            }
            for badge in ["critical", "high", "medium", "low", "info"] {
                let found = contrast(of("badge-ink"), of(badge));
                assert!(found >= 4.5, "{name}: badge {badge}: {found:.2}");
            }
            // WCAG 1.4.11: what a picture is read by, 3 at least.
            for mark in ["series", "crowd"] {
                let found = contrast(of(mark), of("card"));
                assert!(found >= 3.0, "{name}: {mark}: {found:.2}");
            }
        }
    }
}
