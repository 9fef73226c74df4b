# Limits of agreement with base R: bias and its interval by t.test, limits by the formulas of Bland and Altman,
# Stat Methods Med Res 1999;8:135-160. Rscript bland_altman.R > bland_altman.json
x <- c(8.6, 8.67, 9.42, 0.68, 70.34, 3.31, 12.75, 5.02, 22.8, 1.94, 15.6, 6.6)
y <- c(8.1, 9.90, 9.02, 0.81, 66.01, 3.30, 11.70, 5.60, 24.1, 1.52, 14.9, 7.2)
one <- function(a, b, confidence) {
  d <- a - b
  n <- length(d)
  test <- t.test(a, b, paired = TRUE, conf.level = confidence)
  s <- sd(d)
  z <- qnorm(0.975)
  half <- qt(0.5 + confidence / 2, n - 1) * s * sqrt(1 / n + z^2 / (2 * (n - 1)))
  low <- mean(d) - z * s
  high <- mean(d) + z * s
  c(sd = s, bias = unname(test$estimate), bias_lower = test$conf.int[1], bias_upper = test$conf.int[2],
    limit_low = low, limit_low_lower = low - half, limit_low_upper = low + half,
    limit_high = high, limit_high_lower = high - half, limit_high_upper = high + half)
}
ratio <- one(log(x), log(y), 0.95)
ratio[-1] <- exp(ratio[-1])
show <- function(values) paste0("{", paste0('"', names(values), '": ', sprintf("%.15g", values), collapse = ", "), "}")
vec <- function(v) paste0("[", paste(v, collapse = ", "), "]")
cat(sprintf('{"r": "%s",\n "x": %s,\n "y": %s,\n "difference_95": %s,\n "difference_90": %s,\n "ratio_95": %s}\n',
            paste(R.version$major, R.version$minor, sep = "."), vec(x), vec(y),
            show(one(x, y, 0.95)), show(one(x, y, 0.90)), show(ratio)))
