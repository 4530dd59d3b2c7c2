// Single precision.
alias Number = f32;
