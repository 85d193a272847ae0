//! Bars over time, as SVG that is written here: it needs no script, and follows the style sheet.

use std::fmt;

/// The drawing's own measures; the page scales it.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 6.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// Stacked bars, one for each slot of time. Shown, it is an `svg` element, in which every text is escaped where it is
/// written: templates take it as it is (`|safe`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Chart {
    /// What it shows, for those who do not see it.
    pub(crate) title: String,
    /// The parts of each bar, from its foot up.
    pub(crate) parts: Vec<Part>,
    pub(crate) bars: Vec<Bar>,
}

/// A part of every bar.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// Its colour's name in the style sheet.
    pub(crate) colour: &'static str,
}

/// The bar of a slot.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) label: String,
    /// As many as there are parts.
    pub(crate) values: Vec<f64>,
}

impl Bar {
    /// Its values, for a table.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.values.iter().map(|value| exact(*value)).collect()
    }

    fn total(&self) -> f64 {
        self.values.iter().sum()
    }
}

impl Chart {
    pub(crate) fn is_empty(&self) -> bool {
        self.bars.iter().all(|bar| bar.total() <= 0.0)
    }

    /// Its parts that are there at all, for the legend.
    pub(crate) fn legend(&self) -> Vec<&Part> {
        let is_there = |at: usize| self.bars.iter().any(|bar| bar.values.get(at).is_some_and(|value| *value > 0.0));
        self.parts.iter().enumerate().filter(|(at, _)| is_there(*at)).map(|(_, part)| part).collect()
    }

    fn draw(&self, svg: &mut impl fmt::Write) -> fmt::Result {
        let top = ceiling(self.bars.iter().map(Bar::total).fold(0.0, f64::max));
        write!(svg, r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label=""#)?;
        write!(svg, "{}", escaped(&self.title))?;
        svg.write_str("\">")?;
        for share in [0.0, 0.5, 1.0] {
            let y = height_of(share, 1.0);
            write!(svg, r#"<line class="axis" x1="{LEFT}" x2="{}" y1="{y:.1}" y2="{y:.1}"/>"#, WIDTH - RIGHT)?;
            let label = short(top * share);
            write!(svg, r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{label}</text>"#, LEFT - 8.0, y + 4.0)?;
        }
        for (at, bar) in self.bars.iter().enumerate() {
            self.draw_bar(svg, at, bar, top)?;
        }
        self.draw_labels(svg)?;
        svg.write_str("</svg>")
    }

    fn draw_bar(&self, svg: &mut impl fmt::Write, at: usize, bar: &Bar, top: f64) -> fmt::Result {
        let (x, width) = (self.left_of(at), (self.slot() * 0.72).max(0.8));
        let mut below = 0.0;
        for (part, value) in self.parts.iter().zip(&bar.values).filter(|(_, value)| **value > 0.0) {
            let (foot, head) = (height_of(below, top), height_of(below + value, top));
            write!(
                svg,
                r#"<rect class="{}" x="{x:.1}" y="{head:.1}" width="{width:.1}" height="{:.1}"><title>{}: {} {}</title></rect>"#,
                part.colour,
                (foot - head).max(0.5),
                escaped(&bar.label),
                exact(*value),
                escaped(part.name),
            )?;
            below += value;
        }
        Ok(())
    }

    /// The first, the last, and as many between as have room.
    fn draw_labels(&self, svg: &mut impl fmt::Write) -> fmt::Result {
        let every = self.bars.len().div_ceil(6).max(1);
        for (at, bar) in self.bars.iter().enumerate().filter(|(at, _)| at % every == 0) {
            let x = self.left_of(at) + self.slot() * 0.36;
            let label = escaped(&bar.label);
            write!(svg, r#"<text x="{x:.1}" y="{:.1}" text-anchor="middle">{label}</text>"#, HEIGHT - 8.0)?;
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "bars are some hundreds at most")]
    fn slot(&self) -> f64 {
        (WIDTH - LEFT - RIGHT) / self.bars.len().max(1) as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "bars are some hundreds at most")]
    fn left_of(&self, at: usize) -> f64 {
        LEFT + self.slot() * (at as f64 + 0.14)
    }
}

impl fmt::Display for Chart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.draw(f)
    }
}

/// Where a value stands, below the ceiling `top`.
fn height_of(value: f64, top: f64) -> f64 {
    TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / top)
}

/// The next number that is good to read: 1, 2 or 5 and noughts, but even, so that its half is one, too.
fn ceiling(most: f64) -> f64 {
    if most <= 2.0 {
        return 2.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 10.0].iter().map(|step| step * power).find(|step| *step >= most).unwrap_or(10.0 * power)
}

/// A number on an axis.
fn short(value: f64) -> String {
    let (divided, unit) = match value {
        1e9.. => (value / 1e9, "G"),
        1e6.. => (value / 1e6, "M"),
        1e4.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{divided:.1}");
    format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
}

/// A number where it is asked for.
fn exact(value: f64) -> String {
    let text = format!("{value:.2}");
    text.strip_suffix(".00").unwrap_or(&text).to_owned()
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, letter| {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> Chart {
        let parts = vec![Part { name: "forwarded", colour: "one" }, Part { name: "rejected", colour: "four" }];
        let bars = values.iter().map(|value| Bar { label: "<b>".into(), values: vec![*value, 1.0] }).collect();
        Chart { title: "Calls & \"more\"".into(), parts, bars }
    }

    #[test]
    fn a_bar_for_each_part_and_every_text_escaped() {
        let svg = chart(&[3.0, 0.0]).to_string();
        assert_eq!(svg.matches("<rect").count(), 3, "{svg}");
        assert!(svg.contains("&lt;b&gt;: 3 forwarded") && svg.contains("Calls &amp; &quot;more&quot;"), "{svg}");
        assert!(!svg.contains("<b>") && !svg.contains("style="), "{svg}");
    }

    #[test]
    fn an_empty_chart_is_known() {
        let empty = Chart { bars: vec![Bar { label: String::new(), values: vec![0.0] }], ..Chart::default() };
        assert!(empty.is_empty() && !chart(&[1.0]).is_empty());
        assert!(!empty.to_string().contains("NaN") && !Chart::default().to_string().contains("NaN"));
    }

    #[test]
    fn axes_end_at_good_numbers() {
        for (most, top) in [(0.0, 2.0), (1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 10.0), (11.0, 20.0), (999.0, 1000.0)]
        {
            assert!((ceiling(most) - top).abs() < 1e-9, "{most}");
        }
        assert_eq!([short(0.0), short(950.0), short(12_000.0), short(2_500_000.0)], ["0", "950", "12k", "2.5M"]);
    }
}
