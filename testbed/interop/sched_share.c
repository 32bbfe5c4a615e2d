/* Frames that each pipe of DPDK's rte_sched gets, by the same arrivals as `tests/qos_peer.rs` gives our tree.
 * usage: sched_share [EAL arguments] -- PIPES TICKS; prints a line for each pipe: frames sent in the second half. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <rte_eal.h>
#include <rte_mbuf.h>
#include <rte_sched.h>

#define BURST 64
#define OCTETS 200
#define QUEUE 64

static uint64_t state = 88172645463325252ull;

static uint64_t chance(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* One port whose rates limit nothing: a poll takes what it wants, and shares are the scheduler's own. */
static struct rte_sched_port *tree(uint32_t pipes)
{
    static struct rte_sched_subport_profile_params above = { .tb_rate = 100000000000ull, .tb_size = 10000000, .tc_period = 10 };
    static struct rte_sched_pipe_params pipe = { .tb_rate = 100000000000ull, .tb_size = 1000000, .tc_period = 40, .tc_ov_weight = 1 };
    static struct rte_sched_subport_params subport = { .pipe_profiles = &pipe, .n_pipe_profiles = 1, .n_max_pipe_profiles = 1 };
    struct rte_sched_port_params port = { .name = "port", .rate = 100000000000ull, .mtu = 1522, .frame_overhead = 24,
        .n_subports_per_port = 1, .subport_profiles = &above, .n_subport_profiles = 1, .n_max_subport_profiles = 1, .n_pipes_per_subport = pipes };
    struct rte_sched_port *made;

    for (int i = 0; i < RTE_SCHED_TRAFFIC_CLASSES_PER_PIPE; i++) {
        above.tc_rate[i] = pipe.tc_rate[i] = above.tb_rate;
        subport.qsize[i] = QUEUE;
    }
    for (int i = 0; i < RTE_SCHED_BE_QUEUES_PER_PIPE; i++)
        pipe.wrr_weights[i] = 1;
    subport.n_pipes_per_subport_enabled = pipes;
    made = rte_sched_port_config(&port);
    if (!made || rte_sched_subport_config(made, 0, &subport, 0))
        return NULL;
    for (uint32_t i = 0; i < pipes; i++)
        if (rte_sched_pipe_config(made, 0, i, 0))
            return NULL;
    return made;
}

int main(int count, char **words)
{
    int taken = rte_eal_init(count, words);
    if (taken < 0 || count - taken < 3)
        return 2;
    uint32_t pipes = atoi(words[taken + 1]), ticks = atoi(words[taken + 2]);
    struct rte_sched_port *port = tree(pipes);
    struct rte_mempool *pool = rte_pktmbuf_pool_create("frames", pipes * QUEUE + 4096, 256, 0, RTE_PKTMBUF_HEADROOM + 256, 0);
    uint64_t *sent = calloc(pipes, sizeof(*sent));
    struct rte_mbuf *in[96], *out[BURST];
    if (!port || !pool || !sent)
        return 2;
    for (uint32_t tick = 0; tick < ticks; tick++) {
        for (int i = 0; i < 96; i++) {
            uint64_t drawn = chance();
            /* A sixteenth of all frames goes to the first quarter of the pipes. */
            uint32_t light = pipes / 4, pick = (uint32_t)(drawn >> 20);
            uint32_t pipe = (drawn & 15) ? light + pick % (pipes - light) : pick % light;
            in[i] = rte_pktmbuf_alloc(pool);
            if (!in[i])
                return 3;
            in[i]->pkt_len = in[i]->data_len = OCTETS;
            in[i]->dynfield1[0] = pipe;
            rte_sched_port_pkt_write(port, in[i], 0, pipe, RTE_SCHED_TRAFFIC_CLASS_BE, 0, RTE_COLOR_GREEN);
        }
        rte_sched_port_enqueue(port, in, 64);
        rte_sched_port_enqueue(port, in + 64, 32);
        for (int left = BURST, idle = 0; left && idle < 1000;) {
            int got = rte_sched_port_dequeue(port, out, left);
            for (int i = 0; i < got; i++)
                sent[out[i]->dynfield1[0]] += tick >= ticks / 2;
            rte_pktmbuf_free_bulk(out, got);
            left -= got;
            idle = got ? 0 : idle + 1;
        }
    }
    for (uint32_t i = 0; i < pipes; i++)
        printf("%u %lu\n", i, (unsigned long)sent[i]);
    return 0;
}
