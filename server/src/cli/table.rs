//! Rows in columns, for a terminal.

/// Left-aligned columns, two spaces apart. The last column is as long as it is.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .chain(std::iter::once(head[column].len()))
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let space = width - cell.chars().count().min(*width) + 2;
            line.push_str(cell);
            line.push_str(&" ".repeat(space));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
