// Cooperative matrices of 8 x 8. Single precision.
enable wgpu_cooperative_matrix;
const SIDE: u32 = 8u;
alias Number = f32;
alias Left = coop_mat8x8<f32, A>;
alias Right = coop_mat8x8<f32, B>;
alias Sum = coop_mat8x8<f32, C>;
