# Smooth calibration (Austin, Harrell, van Klaveren 2020) of model A's predictions on gbsg.csv, in rms terms.
# usage: Rscript smooth_calibration.R      (in this folder; survival, rms, jsonlite)
suppressPackageStartupMessages({library(survival); library(rms); library(jsonlite)})
g <- read.csv("gbsg.csv"); p <- read.csv("A_pred.csv"); ctl <- coxph.control(eps = 1e-12, iter.max = 100)
out <- list()
for (h in c(36, 60)) for (nk in c(3, 4)) {
  s <- p[[paste0("S", h)]]; x <- log(-log(s))
  basis <- rcspline.eval(x, knots = quantile(x, if (nk == 3) c(.1, .5, .9) else c(.05, .35, .65, .95)), inclx = TRUE)
  f <- coxph(Surv(g$months, g$event) ~ basis, ties = "efron", control = ctl)
  H <- basehaz(f, centered = FALSE); o <- exp(-H$hazard[max(which(H$time <= h))] * exp(drop(basis %*% coef(f)))); gap <- abs(o - s)
  out[[paste0("h", h, "_k", nk)]] <- list(ici = mean(gap), e50 = median(gap), e90 = unname(quantile(gap, .9)), emax = max(gap), first = o[1:10])
}
write(toJSON(out, digits = NA, auto_unbox = TRUE, pretty = TRUE), "smooth_calibration.json")
