//! Plain text of the office as a page shows it: a blank line begins a paragraph, lines that begin with "- " are a list, an address
//! that begins with https:// can be followed. Nothing else means anything, and nothing is ever markup: templates escape every part.

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Lines, one below the other.
    Paragraph(Vec<Vec<Span>>),
    /// Points.
    List(Vec<Vec<Span>>),
}

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// As it is.
    Text(String),
    /// An address to follow.
    Link(String),
}

/// A text in its parts.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut fresh = true;
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            fresh = true;
            continue;
        }
        let point = line.strip_prefix("- ").map(str::trim_start);
        match (point, blocks.last_mut()) {
            (Some(point), Some(Block::List(points))) if !fresh => points.push(spans(point)),
            (Some(point), _) => blocks.push(Block::List(vec![spans(point)])),
            (None, Some(Block::Paragraph(lines))) if !fresh => lines.push(spans(line)),
            (None, _) => blocks.push(Block::Paragraph(vec![spans(line)])),
        }
        fresh = false;
    }
    blocks
}

/// A line, with the addresses in it.
fn spans(line: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("https://") {
        let (before, found) = rest.split_at(at);
        let end = found.find(|c: char| c.is_whitespace() || "<>\"'`{}|\\^".contains(c)).unwrap_or(found.len());
        let (link, _) = found.split_at(end);
        // What ends a sentence does not belong to an address.
        let link = link.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']']);
        let (_, after) = found.split_at(link.len());
        if !before.is_empty() {
            spans.push(Span::Text(before.to_owned()));
        }
        if link.len() > "https://".len() {
            spans.push(Span::Link(link.to_owned()));
        } else {
            spans.push(Span::Text(link.to_owned()));
        }
        rest = after;
    }
    if !rest.is_empty() {
        spans.push(Span::Text(rest.to_owned()));
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Span {
        Span::Text(text.to_owned())
    }

    #[test]
    fn paragraphs_and_lists() {
        let read = blocks("Uno\ndue\n\n\nTre\n- a\n- b\n\n- c\nfine");
        let wanted = vec![
            Block::Paragraph(vec![vec![text("Uno")], vec![text("due")]]),
            Block::Paragraph(vec![vec![text("Tre")]]),
            Block::List(vec![vec![text("a")], vec![text("b")]]),
            Block::List(vec![vec![text("c")]]),
            Block::Paragraph(vec![vec![text("fine")]]),
        ];
        assert_eq!(read, wanted);
        assert_eq!(blocks(" \n \n"), []);
    }

    #[test]
    fn only_https_is_followed() {
        let link = |text: &str| Span::Link(text.to_owned());
        assert_eq!(
            spans("Vedi https://comune.example/a?b=1&c=2. Poi (https://x.example/è)!"),
            [
                text("Vedi "),
                link("https://comune.example/a?b=1&c=2"),
                text(". Poi ("),
                link("https://x.example/è"),
                text(")!")
            ]
        );
        for plain in
            ["http://a.example", "javascript:alert(1)", "https://", "https://.", "data:text/html,x", "<a href=x>"]
        {
            assert!(spans(plain).iter().all(|span| matches!(span, Span::Text(_))), "{plain}");
        }
        assert_eq!(spans("https://a.example/\"onclick=x"), [link("https://a.example/"), text("\"onclick=x")]);
    }
}
