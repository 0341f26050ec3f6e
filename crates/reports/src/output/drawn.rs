//! Pictures as SVG: plain shapes, whose colours stay apart in print and to eyes that tell few colours from each other.

use super::chart::Picture;
use super::markup::escaped;
use crate::report::ChartKind;
use std::fmt::Write as _;

/// After Okabe and Ito, those first that are furthest apart in brightness.
const COLOURS: &[&str] = &[
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#444444", "#999999",
    "#8c564b", "#000000",
];

const WIDTH: f64 = 960.0;
/// Room for the names of bars.
const NAMES: f64 = 230.0;
/// Room for what stands at the ends of bars.
const ENDS: f64 = 90.0;
const BAR: f64 = 24.0;
const COLUMNS_HEIGHT: f64 = 320.0;
/// Room for the numbers along the axis of columns.
const SCALE: f64 = 80.0;
const LEGEND: f64 = 26.0;
/// Names along the axis of columns.
const TICKS: usize = 8;

/// A picture as an SVG element that names and describes itself.
pub(super) fn drawn(picture: &Picture) -> String {
    match picture.kind {
        ChartKind::Bars => bars(picture),
        ChartKind::Columns => columns(picture),
    }
}

fn begun(picture: &Picture, height: f64) -> String {
    let description = format!(
        "{} for each {}, of {} values. The table below has the numbers.",
        picture.parts.join(", "),
        picture.across,
        picture.values.len()
    );
    let mut svg = format!(
        "<svg role=\"img\" aria-labelledby=\"picture-title picture-text\" viewBox=\"0 0 {WIDTH} {height}\">\n\
         <title id=\"picture-title\">{}</title>\n<desc id=\"picture-text\">{}</desc>\n",
        escaped(&picture.title),
        escaped(&description)
    );
    let mut x = 0.0;
    for (part, colour) in picture.parts.iter().zip(COLOURS.iter().cycle()) {
        // Writing to a text cannot fail.
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"4\" width=\"14\" height=\"14\" fill=\"{colour}\"/><text x=\"{}\" y=\"16\">{}</text>",
            x + 20.0,
            escaped(part)
        );
        // Letters are at most so wide.
        x += 44.0 + 8.0 * f64::from(u16::try_from(part.chars().count()).unwrap_or(u16::MAX));
    }
    svg
}

fn bars(picture: &Picture) -> String {
    let count = f64::from(u16::try_from(picture.values.len()).unwrap_or(u16::MAX));
    let mut svg = begun(picture, LEGEND + 8.0 + BAR * count);
    let scale = (WIDTH - NAMES - ENDS) / picture.longest().max(f64::MIN_POSITIVE);
    let mut y = LEGEND + 4.0;
    for (name, numbers) in &picture.values {
        let short: String = name.chars().take(30).collect();
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            NAMES - 8.0,
            y + 15.0,
            escaped(&short)
        );
        let mut x = NAMES;
        for ((number, part), colour) in numbers.iter().zip(&picture.parts).zip(COLOURS.iter().cycle()) {
            let width = number * scale;
            if width > 0.0 {
                let title = format!("{name}, {part}: {}", shown(*number));
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"{}\" fill=\"{colour}\"><title>{}</title></rect>",
                    BAR - 5.0,
                    escaped(&title)
                );
            }
            x += width;
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.2}\" y=\"{}\">{}</text>",
            x + 6.0,
            y + 15.0,
            shown(numbers.iter().sum())
        );
        y += BAR;
    }
    svg.push_str("</svg>\n");
    svg
}

fn columns(picture: &Picture) -> String {
    let mut svg = begun(picture, LEGEND + COLUMNS_HEIGHT + 44.0);
    let (top, bottom) = (LEGEND + 10.0, LEGEND + 10.0 + COLUMNS_HEIGHT);
    let longest = rounded_up(picture.longest());
    for quarter in 0..=4u8 {
        let part = f64::from(quarter) / 4.0;
        let y = bottom - COLUMNS_HEIGHT * part;
        let _ = writeln!(
            svg,
            "<line x1=\"{SCALE}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#cccccc\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            SCALE - 8.0,
            y + 5.0,
            shown(longest * part)
        );
    }
    let count = picture.values.len().max(1);
    let step = (WIDTH - SCALE) / f64::from(u16::try_from(count).unwrap_or(u16::MAX));
    let mut x = SCALE;
    for (place, (name, numbers)) in picture.values.iter().enumerate() {
        let mut y = bottom;
        for ((number, part), colour) in numbers.iter().zip(&picture.parts).zip(COLOURS.iter().cycle()) {
            let height = number / longest * (bottom - top);
            y -= height;
            if height > 0.0 {
                let title = format!("{name}, {part}: {}", shown(*number));
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{:.2}\" height=\"{height:.2}\" fill=\"{colour}\"><title>{}</title></rect>",
                    (step * 0.9).max(0.4),
                    escaped(&title)
                );
            }
        }
        if place % count.div_ceil(TICKS) == 0 {
            let short: String = name.chars().take(16).collect();
            let _ = writeln!(
                svg,
                "<text x=\"{x:.2}\" y=\"{}\" font-size=\"11\">{}</text>",
                bottom + 18.0,
                escaped(&short.replace('T', " "))
            );
        }
        x += step;
    }
    svg.push_str("</svg>\n");
    svg
}

/// The next number that begins with 1, 2 or 5, times four of which a scale is made.
fn rounded_up(number: f64) -> f64 {
    let mut scale = 1.0;
    loop {
        for step in [4.0, 8.0, 20.0] {
            if number <= step * scale {
                return step * scale;
            }
        }
        scale *= 10.0;
        if !scale.is_finite() {
            return number;
        }
    }
}

/// A number as people read it: whole where it is, else with three decimals.
pub(super) fn shown(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        for (longest, end) in [(0.0, 4.0), (4.0, 4.0), (5.0, 8.0), (9.0, 20.0), (21.0, 40.0), (81.0, 200.0)] {
            assert!((rounded_up(longest) - end).abs() < 1e-9, "{longest}");
        }
    }
}
