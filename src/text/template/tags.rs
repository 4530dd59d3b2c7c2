//! The one tag that transformers adds to Jinja, said in Jinja's own.

use std::borrow::Cow;

/// `source` with `{% generation %}` and `{% endgeneration %}` written as `{% with %}` and `{% endwith %}`, and with
/// every line break a line feed, as Jinja reads it.
///
/// The tag marks what a model is trained to say and changes no text. Its body has a scope of its own, which is all that
/// `with` does. Text, comments, raw blocks and strings that look like the tag stay what they are.
pub(super) fn plain(source: &str) -> String {
    let source = match source.contains('\r') {
        true => Cow::Owned(source.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(source),
    };
    let mut out = String::with_capacity(source.len());
    let mut rest: &str = &source;
    while let Some(begin) = opening(rest) {
        let (text, tag) = rest.split_at(begin);
        out.push_str(text);
        let end = match &tag[..2] {
            "{#" => tag.find("#}").map_or(tag.len(), |at| at + 2),
            "{{" => end_of(tag, "}}"),
            _ => end_of(tag, "%}"),
        };
        let (tag, after) = tag.split_at(end);
        match word(tag) {
            Some(("generation", at)) => push_renamed(&mut out, tag, at, "generation", "with"),
            Some(("endgeneration", at)) => push_renamed(&mut out, tag, at, "endgeneration", "endwith"),
            _ => out.push_str(tag),
        }
        rest = after;
        if matches!(word(tag), Some(("raw", _))) {
            let (raw, after) = rest.split_at(end_of_raw(rest));
            out.push_str(raw);
            rest = after;
        }
    }
    out + rest
}

fn push_renamed(out: &mut String, tag: &str, at: usize, from: &str, to: &str) {
    out.push_str(&tag[..at]);
    out.push_str(to);
    out.push_str(&tag[at + from.len()..]);
}

/// Where the next tag, expression or comment begins.
fn opening(text: &str) -> Option<usize> {
    text.bytes().zip(text.bytes().skip(1)).position(|(a, b)| a == b'{' && matches!(b, b'{' | b'%' | b'#'))
}

/// Where a tag or an expression ends: after the first `close` that is in no string and in no brackets.
fn end_of(tag: &str, close: &str) -> usize {
    let bytes = tag.as_bytes();
    let (mut at, mut depth) = (2, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'') => at = end_of_string(bytes, at, quote),
            _ if depth == 0 && bytes[at..].starts_with(close.as_bytes()) => return at + close.len(),
            b'{' | b'[' | b'(' => (depth, at) = (depth + 1, at + 1),
            b'}' | b']' | b')' => (depth, at) = (depth.saturating_sub(1), at + 1),
            _ => at += 1,
        }
    }
    bytes.len()
}

fn end_of_string(bytes: &[u8], begin: usize, quote: u8) -> usize {
    let mut at = begin + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The word that a tag consists of, and where it stands; `None` where there is more than one, or none.
fn word(tag: &str) -> Option<(&str, usize)> {
    let inner = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let inner = inner.strip_suffix(['-', '+']).unwrap_or(inner);
    let word = inner.trim();
    let at = tag.find(word)?;
    (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic())).then_some((word, at))
}

/// Where `endraw` begins; the text's end where there is none.
fn end_of_raw(text: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text[from..].find("{%").map(|at| from + at) {
        let end = text[at..].find("%}").map_or(text.len(), |end| at + end + 2);
        if matches!(word(&text[at..end]), Some(("endraw", _))) {
            return at;
        }
        from = at + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn the_tag_alone_is_renamed() {
        assert_eq!(plain("a{% generation %}b{%- endgeneration -%}c"), "a{% with %}b{%- endwith -%}c");
        assert_eq!(plain("{%+generation+%}{%\n endgeneration\n%}"), "{%+with+%}{%\n endwith\n%}");
        for same in [
            "generation {# {% generation %} #}",
            "{% raw %}{% generation %}{%- endraw %}",
            "{{ '{% generation %}' }}{{ {'a': {'b': '}}{% generation %}'}} }}",
            "{% set x = \"%}{% generation %}\\\"%}{% generation %}\" %}",
            "{% set generation = 1 %}{% if generation %}{% endif %}",
            "{% generation",
            "{{ 'open {% generation %}",
            "{% raw %}{% generation %}",
            "{",
        ] {
            assert_eq!(plain(same), same);
        }
        assert_eq!(plain("a\r\nb\rc{% generation %}"), "a\nb\nc{% with %}");
    }
}
