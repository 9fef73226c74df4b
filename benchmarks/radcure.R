# Numbers of a clinical Cox model in R, from tables that `python -m benchmarks.beside_r` writes.
# usage: Rscript radcure.R FOLDER      (survival, rms, riskRegression, cmprsk, jsonlite)
suppressPackageStartupMessages({library(survival); library(rms); library(riskRegression); library(cmprsk); library(jsonlite)})
folder <- commandArgs(TRUE)[1]
read <- function(name) read.csv(file.path(folder, name), check.names = FALSE, encoding = "UTF-8")
d <- read("data.csv"); out <- list()
for (name in setdiff(names(d), c("time", "event"))) if (is.character(d[[name]])) d[[name]] <- factor(d[[name]], levels = unlist(read_json(file.path(folder, "levels.json"))[[name]]))
terms <- setdiff(names(d), c("time", "event"))
form <- as.formula(paste("Surv(time, event) ~", paste(terms, collapse = " + ")))
ctl <- coxph.control(eps = 1e-12, iter.max = 100, toler.chol = 1e-14)
fit <- coxph(form, d, ties = "efron", control = ctl, x = TRUE)
se <- sqrt(diag(vcov(fit)))
out$coef <- as.list(coef(fit)); out$se <- setNames(as.list(se), names(coef(fit))); out$loglik <- fit$loglik[2]
z <- cox.zph(fit, transform = "km")$table
out$zph <- list(term = rownames(z), chisq = z[, 1], df = z[, 2], p = z[, 3])
lp <- drop(model.matrix(form, d)[, -1, drop = FALSE] %*% coef(fit)); S <- with(d, Surv(time, event))
ch <- concordance(S ~ lp, reverse = TRUE); cu <- concordance(S ~ lp, reverse = TRUE, timewt = "n/G2", ymax = 60)
out$harrell_c <- c(unname(ch$concordance), sqrt(ch$var)[1]); out$uno_c <- c(unname(cu$concordance), sqrt(cu$var)[1])
sf <- survfit(fit, newdata = d[1:20, ], conf.type = "log"); s60 <- summary(sf, times = c(36, 60))
out$survival <- list(s36 = s60$surv[1, ], s60 = s60$surv[2, ], low60 = s60$lower[2, ], high60 = s60$upper[2, ])
km <- summary(survfit(S ~ 1, conf.type = "log-log"), times = c(36, 60))
out$km <- list(surv = km$surv, lower = km$lower, upper = km$upper)
f <- cph(form, d, x = TRUE, y = TRUE, surv = TRUE, time.inc = 60, eps = 1e-12); out$nagelkerke_r2 <- unname(f$stats["R2"])

# Predictions of patients held out
o <- read("held_out.csv")
# Score() leaves out who is censored exactly at the horizon: they are event-free then, so move them behind it.
late <- transform(o, time = ifelse(time >= 60 & event == 0, time + 1e-6, time))
for (h in c(36, 60)) {
  p <- o[[paste0("pfs_", h)]]
  sc <- Score(list(m = matrix(1 - p)), formula = Surv(time, event) ~ 1, data = late, times = h, metrics = c("auc", "brier"),
              cens.model = "km", conf.int = TRUE, se.fit = TRUE, contrasts = FALSE, null.model = TRUE)
  a <- sc$AUC$score; b <- as.data.frame(sc$Brier$score); m <- b$model == "m"
  out[[paste0("auc_", h)]] <- c(a$AUC, a$lower, a$upper)
  out[[paste0("brier_", h)]] <- c(b$Brier[m], b$lower[m], b$upper[m])
  out[[paste0("ipa_", h)]] <- 1 - b$Brier[m] / b$Brier[!m]
  k <- summary(survfit(Surv(time, event) ~ 1, o), times = h)$surv
  out[[paste0("observed_expected_", h)]] <- (1 - k) / mean(1 - p)
  x <- log(-log(p)); sl <- coxph(Surv(time, event) ~ x, o, ties = "efron", control = ctl)
  out[[paste0("calibration_slope_", h)]] <- c(unname(coef(sl)), sqrt(vcov(sl)[1]))
  kn <- quantile(x, c(.1, .5, .9)); basis <- rcspline.eval(x, knots = kn, inclx = TRUE)
  sm <- coxph(Surv(o$time, o$event) ~ basis, ties = "efron", control = ctl)
  H <- basehaz(sm, centered = FALSE); H0 <- H$hazard[max(which(H$time <= h))]
  gap <- abs(exp(-H0 * exp(drop(basis %*% coef(sm)))) - p)
  out[[paste0("ici_", h)]] <- mean(gap); out[[paste0("e50_", h)]] <- median(gap); out[[paste0("e90_", h)]] <- unname(quantile(gap, .9))
}
lr <- survdiff(Surv(time, event) ~ group, o); out$log_rank <- c(lr$chisq, lr$pvalue)
nb <- function(t) { x <- 1 - o$pfs_60 >= t; s <- summary(survfit(Surv(time, event) ~ 1, o[x, ]), times = 60)$surv; mean(x) * ((1 - s) - s * t / (1 - t)) }
out$net_benefit <- sapply(c(.1, .2, .3), nb)

# Optimism in given bootstrap samples
idx <- as.matrix(read("indices.csv")) + 1
C <- function(s, y) unname(concordance(y ~ s, reverse = TRUE)$concordance)
boot <- t(apply(idx, 1, function(i) { g <- coxph(form, d[i, ], ties = "efron", control = ctl)
  l <- drop(model.matrix(form, d)[, -1] %*% coef(g)); c(C(l[i], S[i]), C(l, S), coef(coxph(S ~ l, ties = "efron", control = ctl))) }))
out$boot <- list(c_training = boot[, 1], c_test = boot[, 2], slope = boot[, 3])

# Endpoints with competing events
for (name in c("OS", "LRFS", "DMFS")) { e <- read(paste0("endpoint_", name, ".csv"))
  tp <- timepoints(cuminc(e$time, e$cause), c(36, 60)); out[[paste0("incidence_", name)]] <- unname(tp$est[1, ]); out[[paste0("incidence_se_", name)]] <- unname(sqrt(tp$var[1, ])) }
e <- read("endpoint_DMFS.csv"); cr <- crr(e$time, e$cause, cbind(age = e$age), failcode = 1); out$fine_gray <- c(unname(cr$coef), sqrt(cr$var[1]))
out$versions <- list(R = R.version.string, survival = as.character(packageVersion("survival")), rms = as.character(packageVersion("rms")), riskRegression = as.character(packageVersion("riskRegression")), cmprsk = as.character(packageVersion("cmprsk")))
write(toJSON(out, digits = NA, auto_unbox = TRUE, pretty = TRUE), file.path(folder, "r.json"))
