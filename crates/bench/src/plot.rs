//! Plots: time against n, a line for each contender.

use std::error::Error;
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

    let area = SVGBackend::new(&path, (960, 600)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(heading(first.workload), ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(
            (first.n as f64 * 0.8..last.n as f64 * 1.25).log_scale(),
            (low * 0.7..high * 1.5).log_scale(),
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
    for (index, series) in first.series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points = cases.iter().filter_map(|case| {
            let median = case.median(series.contender)?;
            Some((case.n as f64, median))
        });
        let points: Vec<_> = points.collect();
        if points.is_empty() {
            continue;
        }
        let style = colour.stroke_width(if index == 0 { 3 } else { 2 });
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(series.contender)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
        let dots = points
            .iter()
            .map(|point| Circle::new(*point, 3, colour.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .legend_area_size(30)
        .margin(10)
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(200, 200, 200))
        .label_font(("sans-serif", 14))
        .draw()?;
    area.present()?;
    drop(chart);
    drop(area);
    Ok(Some(path))
}

fn heading(workload: Workload) -> String {
    match workload {
        Workload::FirstFit => "n blocks, every second freed; then free one, allocate one".into(),
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
