# Tests, adjusted p values, ranks and rank correlation with base R. Rscript method_ranking.R > method_ranking.json
show <- function(v) paste0("[", paste(ifelse(is.na(v), "null", sprintf("%.15g", v)), collapse = ", "), "]")
pairs <- list(
  exact = list(x = c(.811, .753, .925, .667, .782, .884, .591, .848, .713, .902),
               y = c(.784, .745, .856, .689, .735, .806, .607, .759, .598, .857)),
  ties = list(x = c(.81, .75, .92, .66, .78, .88, .59, .84), y = c(.79, .73, .88, .68, .78, .84, .55, .86)),
  missing = list(x = c(0, .75, .92, 0, .78, .88), y = c(.7, .71, .83, .6, .8, .79)),
  long = list(x = round(.8 + .1 * sin(1:60), 4), y = round(.78 + .09 * cos((1:60) * 1.3), 4)))
one <- function(p) {
  # differences that are equal but for rounding are ties: R itself would break them by their last bit
  w <- function(...) suppressWarnings(wilcox.test(round(p$x - p$y, 12), ...)$p.value)
  t <- t.test(p$x, p$y, paired = TRUE)
  sprintf('{"x": %s, "y": %s, "t": %.15g, "p_t": %.15g, "two_sided": %.15g, "greater": %.15g, "less": %.15g, "rank_sum": %.15g}',
          show(p$x), show(p$y), t$statistic, t$p.value, w(), w(alternative = "greater"),
          w(alternative = "less"), suppressWarnings(wilcox.test(p$x, p$y)$p.value))
}
p <- c(.001, .04, .03, .005, .2, .04)
# 5 methods (rows), 2 classes, 2 measures, 7 cases
set.seed(5)
dice <- array(round(runif(70, .5, .9), 2), c(5, 7, 2))
hd95 <- array(round(runif(70, 1, 9), 1), c(5, 7, 2))
best_first <- function(v) rank(v, ties.method = "min")
means <- list(apply(dice, c(1, 3), mean), apply(hd95, c(1, 3), mean))
by_part <- cbind(apply(-means[[1]], 2, best_first), apply(means[[2]], 2, best_first))
over_classes <- cbind(best_first(-rowMeans(means[[1]])), best_first(rowMeans(means[[2]])))
by_case <- cbind(apply(apply(-dice, c(2, 3), best_first), c(1, 3), mean), apply(apply(hd95, c(2, 3), best_first), c(1, 3), mean))
# challengeR: one-sided tests, Holm over all ordered pairs, ranked by the number of methods that one is better than
better <- function(v) {
  test <- outer(1:5, 1:5, Vectorize(function(i, j) if (i == j) NA else
    suppressWarnings(wilcox.test(round(v[i, ] - v[j, ], 12), alternative = "greater")$p.value)))
  test[] <- p.adjust(test, "holm")
  best_first(-rowSums(test < .3, na.rm = TRUE))
}
by_test <- cbind(better(dice[, , 1]), better(dice[, , 2]), better(-hd95[, , 1]), better(-hd95[, , 2]))
ranks <- function(m) sprintf('{"mean": %s, "sd": %s}', show(rowMeans(m)), show(apply(m, 1, sd)))
a <- c(1, 2, 3, 4, 5); b <- c(2, 1, 3, 5, 4); d <- c(1, 1, 3, 5, 4)
cat(sprintf('{"r": "%s",\n "pairs": {%s},\n "holm": {"p": %s, "adjusted": %s},\n "scores": {"dice": %s, "hd95_mm": %s},\n "rank_then_aggregate": %s,\n "aggregate_then_rank": %s,\n "case_ranks": %s,\n "test_based": %s,\n "kendall": {"a": %s, "b": %s, "d": %s, "ab": %.15g, "ad": %.15g, "bd": %.15g}}\n',
  paste(R.version$major, R.version$minor, sep = "."),
  paste0('"', names(pairs), '": ', sapply(pairs, one), collapse = ",\n  "), show(p), show(p.adjust(p, "holm")),
  show(dice), show(hd95), ranks(by_part), ranks(over_classes), ranks(by_case), ranks(by_test), show(a), show(b), show(d),
  cor(a, b, method = "kendall"), cor(a, d, method = "kendall"), cor(b, d, method = "kendall")))
