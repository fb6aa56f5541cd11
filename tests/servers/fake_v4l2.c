/* A V4L2 capture driver in a preloaded library, so that the real demuxer runs without a camera.
 *
 * FAKE_V4L2_NODE   the device: a FIFO, so that poll() on it works by itself; one byte per filled buffer
 * FAKE_V4L2_FPS    frames per second (default 50)
 * FAKE_V4L2_JPEG   a JPEG file; with it the camera offers MJPG too
 * FAKE_V4L2_FAULT  busy | stall:N | unplug:N | corrupt:N | realtime | tiny
 *
 * Frame n is grey: luma n modulo 200 in YUYV and GREY, 20000 + n in Y16. One device, one process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFERS = 4, MAX_FD = 1024 };

static const struct { unsigned fourcc; unsigned bytes; } FORMATS[] = {
    {V4L2_PIX_FMT_YUYV, 2}, {V4L2_PIX_FMT_Y16, 2}, {V4L2_PIX_FMT_GREY, 1}, {V4L2_PIX_FMT_MJPEG, 2}};
static const unsigned SIZES[][2] = {{64, 64}, {32, 32}};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char is_fake[MAX_FD];
static int owner = -1, streaming, stopping, sequence;
static unsigned width = 64, height = 64, fourcc = V4L2_PIX_FMT_YUYV, rate = 50;
static unsigned char *memory[BUFFERS];
static struct v4l2_buffer buffers[BUFFERS];
static int queued[BUFFERS], queued_count, filled[BUFFERS], filled_count;
static pthread_t camera;

static const char *text(const char *name) { const char *v = getenv(name); return v ? v : ""; }
static int fault(const char *name) {  /* -1: not asked for; else its number */
    const char *v = text("FAKE_V4L2_FAULT");
    size_t n = strlen(name);
    if (strncmp(v, name, n) || (v[n] && v[n] != ':')) return -1;
    return v[n] ? atoi(v + n + 1) : 0;
}
static int offered(unsigned f) { return f != V4L2_PIX_FMT_MJPEG || *text("FAKE_V4L2_JPEG"); }
static unsigned length(void) { return width * height * 2; }
static int shift(int *list, int *count) {
    int first = list[0];
    memmove(list, list + 1, (size_t)--*count * sizeof *list);
    return first;
}

static unsigned fill(unsigned char *to, int n) {
    unsigned pixels = width * height;
    if (fourcc == V4L2_PIX_FMT_MJPEG) {
        FILE *file = fopen(text("FAKE_V4L2_JPEG"), "rb");
        unsigned got = (unsigned)fread(to, 1, length(), file);
        fclose(file);
        return got;
    }
    for (unsigned i = 0; i < pixels; i++) {
        if (fourcc == V4L2_PIX_FMT_YUYV) { to[2 * i] = n % 200; to[2 * i + 1] = 128; }
        else if (fourcc == V4L2_PIX_FMT_Y16) { to[2 * i] = (20000 + n) & 255; to[2 * i + 1] = (20000 + n) >> 8; }
        else to[i] = n % 200;
    }
    return fourcc == V4L2_PIX_FMT_GREY ? pixels : 2 * pixels;
}

static void expose(void) {  /* one frame time: with the lock held */
    int corrupt = fault("corrupt");
    int n = sequence++;
    if ((fault("stall") >= 0 && n >= fault("stall")) || !queued_count) return;
    int i = shift(queued, &queued_count);
    struct timespec now;
    clock_gettime(fault("realtime") >= 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
    buffers[i].bytesused = fill(memory[i], n);
    buffers[i].sequence = n;
    buffers[i].flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    if (corrupt == 1 || (corrupt > 1 && n % corrupt == 1)) buffers[i].flags |= V4L2_BUF_FLAG_ERROR;
    buffers[i].timestamp.tv_sec = now.tv_sec;
    buffers[i].timestamp.tv_usec = now.tv_nsec / 1000;
    filled[filled_count++] = i;
    if (write(owner, "f", 1) != 1) abort();
}

static void *run(void *unused) {
    (void)unused;
    struct timespec period = {0, 1000000000L / rate};
    for (;;) {
        nanosleep(&period, NULL);
        pthread_mutex_lock(&lock);
        int done = stopping;
        if (!done) expose();
        pthread_mutex_unlock(&lock);
        if (done) return NULL;
    }
}

static int fail(int error) { errno = error; return -1; }

static void stop(void) {
    if (!streaming) return;
    stopping = 1;
    pthread_mutex_unlock(&lock);
    pthread_join(camera, NULL);
    pthread_mutex_lock(&lock);
    streaming = stopping = queued_count = filled_count = 0;
    char byte;
    while (read(owner, &byte, 1) == 1) {}
}

static int set_format(struct v4l2_pix_format *pix, int keep) {
    int known = 0;
    for (unsigned i = 0; i < 4; i++) known |= FORMATS[i].fourcc == pix->pixelformat && offered(pix->pixelformat);
    if (!known) pix->pixelformat = V4L2_PIX_FMT_YUYV;  /* as uvcvideo does: no error, another format */
    int small = (pix->width == 32 && pix->height == 32) || fault("tiny") >= 0;
    pix->width = SIZES[small][0];
    pix->height = SIZES[small][1];
    pix->field = V4L2_FIELD_NONE;
    pix->sizeimage = pix->width * pix->height * 2;
    if (keep) { width = pix->width; height = pix->height; fourcc = pix->pixelformat; }
    return 0;
}

static int dequeue(struct v4l2_buffer *out) {
    char byte;
    if (fault("unplug") >= 0 && sequence > fault("unplug")) return fail(ENODEV);
    if (read(owner, &byte, 1) != 1) return fail(EAGAIN);
    *out = buffers[shift(filled, &filled_count)];
    return 0;
}

static int enumerate(unsigned long request, void *arg) {
    if (request == VIDIOC_ENUM_FMT) {
        struct v4l2_fmtdesc *d = arg;
        if (d->index > 3 || !offered(FORMATS[d->index].fourcc)) return fail(EINVAL);
        d->pixelformat = FORMATS[d->index].fourcc;
        d->flags = d->pixelformat == V4L2_PIX_FMT_MJPEG ? V4L2_FMT_FLAG_COMPRESSED : 0;
        snprintf((char *)d->description, sizeof d->description, "fake %.4s", (char *)&d->pixelformat);
        return 0;
    }
    if (request == VIDIOC_ENUM_FRAMESIZES) {
        struct v4l2_frmsizeenum *s = arg;
        if (s->index > 1) return fail(EINVAL);
        s->type = V4L2_FRMSIZE_TYPE_DISCRETE;
        s->discrete.width = SIZES[s->index][0];
        s->discrete.height = SIZES[s->index][1];
        return 0;
    }
    struct v4l2_frmivalenum *v = arg;
    if (v->index > 0) return fail(EINVAL);
    v->type = V4L2_FRMIVAL_TYPE_DISCRETE;
    v->discrete.numerator = 1;
    v->discrete.denominator = rate;
    return 0;
}

static int control(int fd, unsigned long request, void *arg) {
    struct v4l2_buffer *buffer = arg;
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *cap = arg;
        memset(cap, 0, sizeof *cap);
        strcpy((char *)cap->driver, "fake");
        strcpy((char *)cap->card, "Fake thermal camera");
        strcpy((char *)cap->bus_info, "usb-fake-1");
        cap->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        cap->capabilities = cap->device_caps | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_G_INPUT: *(int *)arg = 0; return 0;
    case VIDIOC_S_INPUT: return 0;
    case VIDIOC_ENUMINPUT: {
        struct v4l2_input *input = arg;
        if (input->index) return fail(EINVAL);
        strcpy((char *)input->name, "Camera 1");
        input->type = V4L2_INPUT_TYPE_CAMERA;
        return 0;
    }
    case VIDIOC_ENUM_FMT: case VIDIOC_ENUM_FRAMESIZES: case VIDIOC_ENUM_FRAMEINTERVALS:
        return enumerate(request, arg);
    case VIDIOC_G_FMT: {
        struct v4l2_pix_format *pix = &((struct v4l2_format *)arg)->fmt.pix;
        pix->width = width; pix->height = height; pix->pixelformat = fourcc;
        return set_format(pix, 0);
    }
    case VIDIOC_TRY_FMT: return set_format(&((struct v4l2_format *)arg)->fmt.pix, 0);
    case VIDIOC_S_FMT:
        if (fault("busy") >= 0 || streaming) return fail(EBUSY);
        return set_format(&((struct v4l2_format *)arg)->fmt.pix, 1);
    case VIDIOC_G_PARM: case VIDIOC_S_PARM: {
        struct v4l2_captureparm *capture = &((struct v4l2_streamparm *)arg)->parm.capture;
        capture->capability = V4L2_CAP_TIMEPERFRAME;
        capture->timeperframe.numerator = 1;
        capture->timeperframe.denominator = rate;
        return 0;
    }
    case VIDIOC_REQBUFS:
        if (((struct v4l2_requestbuffers *)arg)->count > BUFFERS) ((struct v4l2_requestbuffers *)arg)->count = BUFFERS;
        return 0;
    case VIDIOC_QUERYBUF:
        if (buffer->index >= BUFFERS) return fail(EINVAL);
        buffer->length = length();
        buffer->m.offset = buffer->index << 20;
        return 0;
    case VIDIOC_QBUF:
        queued[queued_count++] = buffer->index;
        buffers[buffer->index] = *buffer;
        return 0;
    case VIDIOC_DQBUF: return dequeue(buffer);
    case VIDIOC_STREAMON:
        owner = fd; streaming = 1; sequence = 0;
        return pthread_create(&camera, NULL, run, NULL) ? fail(EIO) : 0;
    case VIDIOC_STREAMOFF: stop(); return 0;
    default: return fail(ENOTTY);
    }
}

int ioctl(int fd, unsigned long request, ...) {
    va_list list;
    va_start(list, request);
    void *arg = va_arg(list, void *);
    va_end(list);
    if (fd < 0 || fd >= MAX_FD || !is_fake[fd])
        return ((int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl"))(fd, request, arg);
    pthread_mutex_lock(&lock);
    int result = control(fd, request & 0xffffffff, arg);
    pthread_mutex_unlock(&lock);
    return result;
}

static int opened(const char *name, const char *path, int flags, mode_t mode) {
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    struct stat node, wanted;
    const char *fake = text("FAKE_V4L2_NODE");
    if (!*fake || stat(fake, &node) || stat(path, &wanted) || node.st_ino != wanted.st_ino ||
        node.st_dev != wanted.st_dev)
        return real(path, flags, mode);
    int fd = real(path, O_RDWR | O_NONBLOCK | (flags & O_CLOEXEC));
    if (fd >= 0 && fd < MAX_FD) is_fake[fd] = 1;
    if (*text("FAKE_V4L2_FPS")) rate = (unsigned)atoi(text("FAKE_V4L2_FPS"));
    return fd;
}

#define OPEN(name)                                                  \
    int name(const char *path, int flags, ...) {                    \
        va_list list;                                               \
        va_start(list, flags);                                      \
        mode_t mode = va_arg(list, mode_t);                         \
        va_end(list);                                               \
        return opened(#name, path, flags, mode);                    \
    }
OPEN(open)
OPEN(open64)

#define MMAP(name, offset_type)                                                                     \
    void *name(void *at, size_t size, int prot, int flags, int fd, offset_type offset) {            \
        typedef void *(*real_map)(void *, size_t, int, int, int, offset_type);                      \
        real_map real = (real_map)dlsym(RTLD_NEXT, #name);                                          \
        if (fd < 0 || fd >= MAX_FD || !is_fake[fd]) return real(at, size, prot, flags, fd, offset); \
        return memory[offset >> 20] = real(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);   \
    }
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

int close(int fd) {
    if (fd >= 0 && fd < MAX_FD && is_fake[fd]) {
        pthread_mutex_lock(&lock);
        if (fd == owner) stop();
        is_fake[fd] = 0;
        pthread_mutex_unlock(&lock);
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, "close"))(fd);
}
