//! Plots: time against n, a line for each contender.

use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::prelude::*;

use crate::job::Workload;
use crate::measure::{Case, title};

const COLOURS: [RGBColor; 14] = [
    RGBColor(214, 39, 40),
    RGBColor(255, 152, 150),
    RGBColor(127, 127, 127),
    RGBColor(31, 119, 180),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(255, 127, 14),
    RGBColor(23, 190, 207),
    RGBColor(188, 189, 34),
    RGBColor(227, 119, 194),
    RGBColor(0, 0, 0),
    RGBColor(174, 199, 232),
    RGBColor(152, 223, 138),
];

/// Draws a workload's cases, if there are several sizes, and answers the file.
pub(crate) fn draw(cases: &[Case], directory: &Path) -> Result<Option<PathBuf>, Box<dyn Error>> {
    let [first, .., last] = cases else {
        return Ok(None);
    };
    std::fs::create_dir_all(directory)?;
    let path = directory.join(format!("{}.svg", title(first.workload)));
    let medians = cases.iter().flat_map(|case| &case.series);
    let medians = medians.filter_map(|series| Some(series.spread()?.median));
    let (low, high) = medians.fold((f64::MAX, 0.0_f64), |(low, high), median| {
        (low.min(median), high.max(median))
    });

    let area = SVGBackend::new(&path, (1080, 600)).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(860);
    let mut chart = ChartBuilder::on(&left)
        .caption(heading(first.workload), ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(
            (first.n as f64 * 0.8..last.n as f64 * 1.25).log_scale(),
            decades(low, high).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc(match first.workload {
            Workload::Bump | Workload::Phases => "n, objects",
            workload if workload.is_global() => "n, objects",
            workload if workload.is_of_slots() => "n, slots",
            _ => "n, blocks",
        })
        .y_desc(match first.workload {
            Workload::Bump | Workload::Phases => "nanoseconds per object, median",
            _ => "nanoseconds per pair, median",
        })
        .axis_desc_style(("sans-serif", 15))
        .label_style(("sans-serif", 13))
        .x_label_formatter(&|value| power(*value))
        .y_label_formatter(&|value| power(*value))
        .light_line_style(RGBColor(240, 240, 240))
        .bold_line_style(RGBColor(215, 215, 215))
        .draw()?;
    // Named beside the picture, where they cover nothing, in the order of their lines' ends.
    let mut names = Vec::new();
    for (index, series) in first.series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points = cases.iter().filter_map(|case| {
            let median = case.median(series.contender)?;
            Some((case.n as f64, median))
        });
        let points: Vec<_> = points.collect();
        let Some((_, end)) = points.last() else {
            continue;
        };
        let style = colour.stroke_width(if index == 0 { 3 } else { 2 });
        names.push((*end, series.contender, style));
        chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
        let dots = points
            .iter()
            .map(|point| Circle::new(*point, 3, colour.filled()));
        chart.draw_series(dots)?;
    }
    names.sort_by(|one, other| other.0.total_cmp(&one.0));
    for (line, (_, name, style)) in names.into_iter().enumerate() {
        let y = 64 + 22 * line as i32;
        right.draw(&PathElement::new([(8, y), (30, y)], style))?;
        right.draw(&Text::new(name, (38, y - 8), ("sans-serif", 14)))?;
    }
    area.present()?;
    drop((chart, left, right, area));
    Ok(Some(path))
}

/// The powers of ten around all that is drawn: each is a line with a label.
fn decades(low: f64, high: f64) -> Range<f64> {
    let power = |exponent: f64| 10_f64.powf(exponent);
    power(low.log10().floor())..power(high.log10().ceil())
}

fn heading(workload: Workload) -> String {
    match workload {
        Workload::FirstFit => "n blocks, every second freed; then free one, allocate one".into(),
        Workload::Level => {
            "n objects of 16..512 bytes, half of which go at once and come again".into()
        }
        Workload::FixedLifo => "n slots of 64 bytes in use; free the last, take one".into(),
        Workload::FixedRandom => "n slots of 64 bytes in use; free a random one, take one".into(),
        Workload::FixedBurst => "take n slots of 64 bytes, then free them backwards".into(),
        Workload::GlobalLifo => "n objects of 64 bytes in use; free the last, take one".into(),
        Workload::GlobalRandom => {
            "n objects of 64 bytes in use; free a random one, take one".into()
        }
        Workload::Bump => "n objects of 16..512 bytes, then a reset".into(),
        Workload::Phases => "n objects of 16..512 bytes in eight pools, which then go".into(),
        _ => title(workload),
    }
}

/// A label of a logarithmic axis.
fn power(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}
