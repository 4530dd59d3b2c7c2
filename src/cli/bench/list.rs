//! Lists and ranges of numbers, as llama-bench takes them.

/// Numbers that a test is made for each of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbers(pub Vec<usize>);

/// Numbers or ranges with commas between them: `512`, `1,2,4`, `128-512+128`, `128-4096*2`, `1-4`.
///
/// ```text
/// a-b    a, a + 1, … to b        a-b+s    a, a + s, … to b        a-b*s    a, a · s, … to b
/// ```
pub fn numbers(text: &str) -> Result<Numbers, String> {
    let mut all = Vec::new();
    for part in text.split(',') {
        range(part, &mut all)?;
    }
    Ok(Numbers(all))
}

fn range(text: &str, all: &mut Vec<usize>) -> Result<(), String> {
    let number = |digits: &str| {
        let wrong = || format!("{text:?} is no number or range, such as 512, 1-8+2 or 128-4096*2");
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            digits.parse().map_err(|_| wrong())
        } else {
            Err(wrong())
        }
    };
    let Some((first, rest)) = text.split_once('-') else {
        all.push(number(text)?);
        return Ok(());
    };
    let (last, times, step) = match (rest.split_once('+'), rest.split_once('*')) {
        (Some((last, step)), _) => (last, false, number(step)?),
        (None, Some((last, step))) => (last, true, number(step)?),
        (None, None) => (rest, false, 1),
    };
    let (mut value, last): (usize, usize) = (number(first)?, number(last)?);
    while value <= last {
        if all.len() >= MOST {
            return Err(format!("{text:?} is more than {MOST} numbers"));
        }
        all.push(value);
        if value == last {
            break;
        }
        let next = if times { value.checked_mul(step) } else { value.checked_add(step) };
        match next {
            Some(next) if next > value => value = next,
            Some(_) => return Err(format!("{text:?} never ends: its step leads nowhere")),
            None => break,
        }
    }
    Ok(())
}

/// Numbers that a list may have.
const MOST: usize = 1024;

/// Two numbers with a comma between them: a prompt's tokens and an answer's.
pub fn pair(text: &str) -> Result<(usize, usize), String> {
    let wrong = || format!("{text:?} is not a prompt's tokens and an answer's, such as 512,128");
    let (prompt, generated) = text.split_once(',').ok_or_else(wrong)?;
    match (prompt.parse(), generated.parse()) {
        (Ok(prompt), Ok(generated)) => Ok((prompt, generated)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_llama_benchs() {
        let numbers = |text: &str| numbers(text).unwrap().0;
        assert_eq!(numbers("512"), [512]);
        assert_eq!(numbers("0,512,128"), [0, 512, 128]);
        assert_eq!(numbers("1-4"), [1, 2, 3, 4]);
        assert_eq!(numbers("10-30+10"), [10, 20, 30]);
        assert_eq!(numbers("10-35+10,7"), [10, 20, 30, 7]);
        assert_eq!(numbers("128-1024*2"), [128, 256, 512, 1024]);
        assert_eq!(numbers("5-5*1"), [5]);
        assert_eq!(numbers("5-5+0"), [5]);
        assert_eq!(pair("512,128"), Ok((512, 128)));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["", "x", "1,", "-1", "1-", "1-2-3", "1-8+", "1-8*x", "0-8*2", "1-8*1", "1-8+0", "1-99999", "+5"] {
            assert!(numbers(text).is_err(), "{text}");
        }
        for text in ["512", "512,", "512,128,1", "a,b"] {
            assert!(pair(text).is_err(), "{text}");
        }
    }
}
