//! Templates made to use up time, memory or the stack.

use quernel::Error;
use quernel::text::{ChatTemplate, Message, Prompt};
use std::time::{Duration, Instant};

/// Longer than the watch allows, by what a busy machine may add.
const MOST: Duration = Duration::from_millis(2500);

/// Bytes of the longest template that is read.
const CAP: usize = 64 << 10;

/// `unit` as often as it goes into the longest template, between two ends.
fn filled(begin: &str, unit: &str, end: &str) -> String {
    format!("{begin}{}{end}", unit.repeat((CAP - begin.len() - end.len()) / unit.len()))
}

/// Opens and renders a template; how that ended, and how long it took.
fn attempt(source: &str) -> (quernel::Result<String>, Duration) {
    let begin = Instant::now();
    let prompt = Prompt { messages: vec![Message::new("user", "x".repeat(1000))], ..Prompt::default() };
    let result = ChatTemplate::new(source).and_then(|template| template.render(&prompt));
    (result, begin.elapsed())
}

/// Which attack this process is for. A renderer that is stopped may run on for good, and few of them are borne with, so
/// each attack has a process of its own.
const ATTACK: &str = "QUERNEL_TEST_ATTACK";

/// Refused in time, and what is sound is rendered as before.
#[track_caller]
fn is_refused(name: &str, source: &str) {
    let (result, took) = attempt(source);
    assert!(took < MOST, "{name}: took {took:?}");
    match result {
        Err(Error::ChatTemplateTime { .. }) => {}
        Err(Error::ChatTemplate { reason, .. }) => assert!(!reason.contains("still running"), "{name}: {reason}"),
        other => panic!("{name}: {:?}", other.map(|text| text.len())),
    }
    assert_eq!(attempt("{{ messages | length }}").0.unwrap(), "1", "{name}: what is sound is rendered as before");
}

/// Work and memory without end.
#[test]
fn work_without_end_is_refused() {
    let loops = "{% for a in range(10000) %}".repeat(4) + "x" + &"{% endfor %}".repeat(4);
    let doubled = |what: &str| {
        format!(
            "{{% set ns = namespace(s={what}) %}}{{% for i in range(60) %}}{{% set ns.s = ns.s + ns.s %}}{{% endfor %}}{{{{ ns.s | length }}}}"
        )
    };
    let attacks = [
        ("nested loops", loops.as_str()),
        ("a text repeated", "{{ 'x' * 1000000000000 }}"),
        ("a list repeated", "{{ ([1] * 1000000000000) | length }}"),
        ("a text doubled", &doubled("'xxxxxxxx'")),
        ("a list doubled", &doubled("[1]")),
        ("a list doubled and joined", &format!("{}{{{{ ns.s | join }}}}", doubled("[1]"))),
        (
            "replace",
            "{% set ns = namespace(s='aaaaaaaaaa') %}{% for i in range(30) %}{% set ns.s = ns.s.replace('a', 'aaaaaaaaaa') %}{% endfor %}{{ ns.s | length }}",
        ),
        (
            "join",
            "{% set ns = namespace(s='aaaaaaaaaa') %}{% for i in range(30) %}{% set ns.s = ns.s.join(ns.s | list) %}{% endfor %}{{ ns.s | length }}",
        ),
        ("format", "{{ '%1000000000000d' | format(1) }}"),
        ("str.format", "{{ '{:1000000000000}'.format(1) }}"),
        ("str.format of a field", "{{ '{:{}}'.format(1, 1000000000000) }}"),
        ("str.format of a float", "{{ '{:.1000000000000f}'.format(1.5) }}"),
        ("format by an argument", "{{ '%*d' | format(1000000000000, 1) }}"),
        ("format of a float", "{{ '%.1000000000000f' | format(1.5) }}"),
        ("indent", "{{ ('x\n' * 10000) | indent(1000000000) }}"),
        ("slice", "{{ range(100000) | slice(1000000000) | list }}"),
        ("batch", "{{ range(10) | batch(1000000000000, 'x') | list }}"),
        ("a macro that calls itself", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
        (
            "a macro that calls itself twice",
            "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        ),
        ("JSON of a doubled list", &format!("{}{{{{ ns.s | tojson }}}}", doubled("['x']"))),
        (
            "JSON of lists within lists",
            "{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | tojson }}",
        ),
        (
            "zfill",
            "{% set ns = namespace(s='1') %}{% for i in range(2000000) %}{% set ns.s = ns.s.zfill(1000000000) %}{% endfor %}",
        ),
    ];
    if let Some(index) = std::env::var(ATTACK).ok().and_then(|index| index.parse::<usize>().ok()) {
        let (name, source) = attacks[index];
        return is_refused(name, source);
    }
    for (index, (name, _)) in attacks.iter().enumerate() {
        let mut own = std::process::Command::new(std::env::current_exe().unwrap());
        own.args(["--exact", "attacks::work_without_end_is_refused"]).env(ATTACK, index.to_string());
        let output = own.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains("1 passed"), "{name}: {}\n{told}", output.status);
    }
}

/// What a stack has to bear: flat chains and deep nests, as long as a template may be.
#[test]
fn no_chain_and_no_nest_ends_the_process() {
    let nested = |open: &str, close: &str| {
        let times = (CAP - 16) / (open.len() + close.len());
        format!("{{{{ {}1{} }}}}", open.repeat(times), close.repeat(times))
    };
    for (name, source) in [
        ("~", filled("{{ 1", "~1", " }}")),
        ("+", filled("{{ 1", "+1", " }}")),
        ("elif", filled("{% if 0 %}", "{% elif 0 %}", "{% endif %}")),
        ("not", filled("{{ ", "not ", "1 }}")),
        ("-", filled("{{ ", "-", "1 }}")),
        (".a", filled("{{ messages", ".a", " }}")),
        ("[0]", filled("{{ messages", "[0]", " }}")),
        ("and", filled("{{ 1", " and 1", " }}")),
        ("|string", filled("{{ 1", "|string", " }}")),
        ("is", filled("{{ 1", " is defined", " }}")),
        ("<", filled("{{ 1", "<2", " }}")),
        ("if else", filled("{{ 1", " if 1 else 1", " }}")),
        ("**", filled("{{ 1", "**1", " }}")),
        ("(", nested("(", ")")),
        ("[", nested("[", "]")),
        ("{", nested("{1:", "}")),
        ("f(", nested("namespace(a=", ")")),
        ("if", {
            let times = (CAP - 16) / "{% if 1 %}{% endif %}".len();
            "{% if 1 %}".repeat(times) + &"{% endif %}".repeat(times)
        }),
        ("generation", {
            let times = (CAP - 16) / "{% generation %}{% endgeneration %}".len();
            "{% generation %}".repeat(times) + &"{% endgeneration %}".repeat(times)
        }),
        ("unclosed", filled("{{ ", "(", "")),
        ("lists in each other", "{% set ns = namespace(s=[]) %}{% for i in range(10000) %}{% for j in range(10000) %}{% set ns.s = [ns.s] %}{% endfor %}{% endfor %}".to_owned()),
        ("lists in each other, to be compared", "{% set ns = namespace(s=[], t=[]) %}{% for j in range(90000) %}{% set ns.s = [ns.s] %}{% set ns.t = [ns.t] %}{% endfor %}{{ ns.s == ns.t }}".to_owned()),
        ("lists in each other, to be shown", "{% set ns = namespace(s=[]) %}{% for j in range(90000) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}".to_owned()),
        ("lists in each other, as JSON", "{% set ns = namespace(s=[]) %}{% for j in range(90000) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s | tojson }}".to_owned()),
    ] {
        eprintln!("{name}");
        let (result, took) = attempt(&source);
        assert!(took < MOST, "{name}: took {took:?}");
        // Some are sound, if long; none may end otherwise.
        assert!(matches!(result, Ok(_) | Err(Error::ChatTemplate { .. } | Error::ChatTemplateTime { .. })), "{name}: {result:?}");
    }
    let (sound, _) = attempt("{{ messages | length }}");
    assert_eq!(sound.unwrap(), "1", "what is sound is rendered as before");
}

#[test]
fn a_template_that_is_too_long_is_refused() {
    is_refused("one byte too many", &"x".repeat(CAP + 1));
    assert_eq!(attempt(&"x".repeat(CAP)).0.unwrap().len(), CAP);
}
