# Points scales of rms::nomogram with interactions, penalised coefficients, several horizons and a median axis.
# usage: Rscript nomogram_interactions.R   (in this folder, beside gbsg.csv; needs rms, survival, jsonlite)
suppressPackageStartupMessages({library(survival); library(rms); library(jsonlite)})
d <- read.csv("gbsg.csv"); d$grade <- factor(d$grade); d$meno <- factor(d$meno, labels = c("pre", "post"))
dd <- datadist(d); options(datadist = "dd"); units(d$months) <- "Month"
kn <- rcspline.eval(d$age, nk = 4, knots.only = TRUE)
some <- seq(1, nrow(d), by = 11)

scale_of <- function(f, ...) {
  nom <- nomogram(f, lp = TRUE, maxscale = 100, ...)
  info <- attr(nom, "info"); rows <- nom[!(names(nom) %in% c("total.points", "lp", info$funlabel))]
  list(coef = as.list(coef(f)), center = if (length(f$center)) f$center else 0, sc = info$sc, Intercept = info$Intercept,
       lp = unname(predict(f, d[some, ])),
       rows = lapply(unname(seq_along(rows)), function(i) { x <- rows[[i]]; other <- setdiff(names(x), c(names(x)[1], "Xbeta", "points"))
         list(title = names(rows)[i], variable = names(x)[1], settings = lapply(x[other], as.character),
              value = as.character(x[[1]]), Xbeta = x$Xbeta, points = x$points) }))
}
cox <- function(form) cph(form, data = d, x = TRUE, y = TRUE, surv = TRUE, time.inc = 60, method = "efron", eps = 1e-10, iter.max = 50)
S <- Surv(d$months, d$event); form <- list(
  factor_linear = S ~ age * grade + size + lognodes + hormon,
  linear_linear = S ~ age * size + grade + hormon,
  spline_factor = S ~ rcs(age, kn) * meno + lognodes + grade,
  factor_factor = S ~ lognodes + grade * meno,
  chain = S ~ age * grade + grade * hormon + rcs(lognodes, c(0.7, 1.4, 2.6)))
at <- list(linear_linear = list(size = c(10, 25, 40)))
out <- lapply(names(form), function(n) scale_of(cox(form[[n]]), interact = at[[n]])); names(out) <- names(form)

# Penalised: the ridge of coxph put into a cph object of the same design, and lrm's own penalty.
f <- cox(form$spline_factor)
X <- f$x; r <- coxph(S ~ ridge(X, theta = 50, scale = FALSE), ties = "efron")
g <- f; g$coefficients[] <- coef(r); g$center <- sum(colMeans(X) * coef(r)); g$linear.predictors <- drop(X %*% coef(r)) - g$center
out$ridge <- scale_of(g)
l <- lrm(event ~ rcs(age, kn) * grade + size + hormon, data = d, penalty = list(simple = 2, nonlinear = 10, interaction = 10), x = TRUE, y = TRUE)
out$penalised_lrm <- scale_of(l)

# Several horizons and the quantiles of model A.
a <- cox(S ~ age + meno + size + grade + lognodes + logpgr + hormon)
sv <- Survival(a); qu <- Quantile(a); TT <- c(12, 24, 36, 48, 60, 72); lp <- seq(-1.5, 2.5, by = 0.125)
at <- c(6, 12, 18, 24, 36, 48, 60, 72)
nom <- nomogram(a, fun = list(function(x) qu(lp = x), function(x) qu(q = 0.75, lp = x)), funlabel = c("median", "quartile"), fun.at = at)
ends <- range(attr(nom, "info")$lp.at)
months <- function(q) { m <- qu(q = q, lp = lp); ifelse(is.na(m), -1, m) }
out$horizons <- list(times = TT, lp = lp, survival = sapply(TT, function(t) sv(t, lp)), median = months(0.5), quartile = months(0.75),
  grid = ends, coef = as.list(coef(a)), center = a$center, sc = attr(nom, "info")$sc, Intercept = attr(nom, "info")$Intercept,
  median_axis = list(months = nom$median$x.real, points = nom$median$x), quartile_axis = list(months = nom$quartile$x.real, points = nom$quartile$x))
out$age_knots <- kn; out$patients <- some - 1
out$versions <- list(R = R.version.string, rms = as.character(packageVersion("rms")), survival = as.character(packageVersion("survival")))
write(toJSON(out, digits = NA, auto_unbox = TRUE), "nomogram_interactions.json")
